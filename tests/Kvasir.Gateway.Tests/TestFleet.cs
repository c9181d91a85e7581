using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Kvasir.Adapters;
using Kvasir.Gateway.Fleet;
using Kvasir.Simulation.Mock;

namespace Kvasir.Gateway.Tests;

/// <summary>A gateway before mock workers, all in this process.</summary>
internal sealed class TestFleet : IAsyncDisposable
{
    private readonly HttpClient client = new() { Timeout = TimeSpan.FromMinutes(2) };

    public required List<MockWorker> Workers { get; init; }

    public required GatewayServer Gateway { get; init; }

    public GatewayState State => Gateway.State;

    public static async Task<TestFleet> StartAsync(int workers, Func<int, MockWorkerOptions>? mock = null, Func<GatewayOptions, GatewayOptions>? change = null, TimeProvider? time = null)
    {
        var fleet = new List<MockWorker>();
        for (var i = 0; i < workers; i++) fleet.Add(await MockWorker.StartAsync(mock?.Invoke(i) ?? Fast));
        var options = new GatewayOptions
        {
            Port = 0, ProbeInterval = TimeSpan.FromMilliseconds(100), ConnectTimeout = TimeSpan.FromSeconds(1),
            Workers = [.. fleet.Select((worker, i) => new WorkerAddress
            {
                Name = $"w{i}", Address = worker.Address, Engine = worker.Options.SgLang ? EngineKind.SgLang : EngineKind.Vllm, KvEvents = worker.Options.EventPort is { } port ? $"tcp://127.0.0.1:{port}" : null,
                KvReplay = worker.Options.ReplayPort is { } replay ? $"tcp://127.0.0.1:{replay}" : null,
            })],
        };
        return new TestFleet { Workers = fleet, Gateway = await GatewayServer.StartAsync(change?.Invoke(options) ?? options, time) };
    }

    public static MockWorkerOptions Fast => new() { PrefillTokensPerSecond = 1e7, TokenTime = TimeSpan.Zero };

    public static int FreePort()
    {
        using var listener = new TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }

    public Task<HttpResponseMessage> PostAsync(object body, HttpCompletionOption completion = HttpCompletionOption.ResponseContentRead, string? key = null, CancellationToken cancel = default)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(Gateway.Address, "/v1/chat/completions")) { Content = JsonContent.Create(body) };
        if (key is not null) request.Headers.Authorization = new("Bearer", key);
        return client.SendAsync(request, completion, cancel);
    }

    /// <summary>Sends a body to any path, as it is.</summary>
    public Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, HttpContent? content, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(method, new Uri(Gateway.Address, path)) { Content = content };
        foreach (var (name, value) in headers) request.Headers.Add(name, value);
        return client.SendAsync(request);
    }

    /// <summary>Asks until events of all workers are heard: a subscription takes a moment, and what was published before it is lost without replay.</summary>
    public async Task AskUntilKnownAsync()
    {
        for (var i = 0; i < 200 && !State.Fleet.Workers.All(State.Caches.Events.Knows); i++)
        {
            using var response = await AskAsync(Text(1000 + i, 600));
            await Task.Delay(20);
        }
        Assert.All(State.Fleet.Workers, worker => Assert.True(State.Caches.Events.Knows(worker)));
    }

    public Task<HttpResponseMessage> AskAsync(string text, bool stream = false, int maxTokens = 4, HttpCompletionOption completion = HttpCompletionOption.ResponseContentRead, string? key = null, CancellationToken cancel = default) =>
        PostAsync(new { model = "mock", messages = new[] { new { role = "user", content = text } }, max_tokens = maxTokens, stream }, completion, key, cancel);

    public async Task<JsonElement> GetAsync(string path) =>
        JsonDocument.Parse(await client.GetStringAsync(new Uri(Gateway.Address, path))).RootElement.Clone();

    public Task<string> TextAsync(string path) => client.GetStringAsync(new Uri(Gateway.Address, path));

    public Task<HttpResponseMessage> SendAsync(HttpMethod method, string path) => client.SendAsync(new HttpRequestMessage(method, new Uri(Gateway.Address, path)));

    /// <summary>Different texts share nothing but the role.</summary>
    public static string Text(int seed, int length)
    {
        var random = new Random(seed);
        var text = new StringBuilder(length);
        while (text.Length < length) text.Append((char)('a' + random.Next(26)));
        return text.ToString();
    }

    /// <summary>In-flight counts must return to zero; they may take a moment after the last answer.</summary>
    public async Task SettleAsync()
    {
        await UntilAsync(() => State.Fleet.Workers.All(worker => worker.Load.InFlight == 0) && State.Inside == 0);
        Assert.All(State.Fleet.Workers, worker => Assert.Equal((0, 0L, 0, 0L), (worker.Load.InFlight, worker.Load.PendingTokens, worker.Load.Decoding, worker.Load.DecodingTokens)));
    }

    public static async Task UntilAsync(Func<bool> condition)
    {
        for (var i = 0; i < 3000 && !condition(); i++) await Task.Delay(20);
        Assert.True(condition(), "What was waited for did not happen within a minute.");
    }

    public async ValueTask DisposeAsync()
    {
        await Gateway.DisposeAsync();
        foreach (var worker in Workers) await worker.DisposeAsync();
        client.Dispose();
    }
}
