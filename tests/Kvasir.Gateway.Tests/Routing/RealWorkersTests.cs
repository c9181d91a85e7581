using System.Net.Http.Json;
using System.Text.Json;
using Kvasir.Adapters;
using Kvasir.Engine;
using Kvasir.Gateway.Fleet;
using Kvasir.Server;
using Kvasir.Synthesis;

namespace Kvasir.Gateway.Tests.Routing;

/// <summary>Two servers with engines that compute, behind a gateway.</summary>
public sealed class RealWorkersTests
{
    private const int Conversations = 4, Turns = 3, AnswerTokens = 6;

    [Fact]
    public async Task Conversations_return_to_the_worker_that_holds_them()
    {
        var folder = Directory.CreateTempSubdirectory("kvasir-test-");
        var path = Path.Combine(folder.FullName, "random.gguf");
        SyntheticCheckpoint.Write(path, SyntheticModel.Tiny(SyntheticFamily.Llama));
        await using (var first = await LoadAsync(path))
        await using (var second = await LoadAsync(path))
        await using (var serverA = await ServeAsync(first))
        await using (var serverB = await ServeAsync(second))
        {
            await using var gateway = await GatewayServer.StartAsync(new GatewayOptions { Port = 0, Workers = [At("a", serverA), At("b", serverB)] });
            Assert.All(gateway.State.Fleet.Workers, worker => Assert.Equal((EngineKind.Kvasir, WorkerHealth.Ready, "random"), (worker.Adapter.Kind, worker.Health, worker.Models.Single())));
            using var http = new HttpClient { Timeout = TimeSpan.FromMinutes(2) };
            var texts = Enumerable.Range(0, Conversations).Select(i => TestFleet.Text(i, 300)).ToArray();
            var homes = new string[Conversations];
            for (var turn = 0; turn < Turns; turn++)
                for (var i = 0; i < Conversations; i++)
                {
                    var (worker, cached) = await AskAsync(http, gateway.Address, texts[i]);
                    if (turn == 0) homes[i] = worker;
                    else
                    {
                        Assert.Equal(homes[i], worker);
                        Assert.True(cached > 100, $"Turn {turn} of conversation {i} found {cached} tokens.");
                    }
                    texts[i] += $" turn {turn} of conversation {i}";
                }
            await TestFleet.UntilAsync(() => gateway.State.Fleet.Workers.All(worker => worker.Load.InFlight == 0));
        }
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Workers_with_several_models_are_asked_for_each_of_them()
    {
        var folder = Directory.CreateTempSubdirectory("kvasir-test-");
        var paths = new[] { "random", "other" }.Select(name => Path.Combine(folder.FullName, $"{name}.gguf")).ToArray();
        foreach (var path in paths) SyntheticCheckpoint.Write(path, SyntheticModel.Tiny(SyntheticFamily.Llama));
        await using (var alone = await LoadAsync(paths[0]))
        await using (var several = await ModelSet.LoadAsync(paths, [], 1, new KvasirOptions { Engine = Options }))
        await using (var first = await ServeAsync(alone))
        await using (var second = await KvasirServer.StartAsync(new ServerOptions { Port = 0 }))
        {
            second.Attach(several);
            await using var gateway = await GatewayServer.StartAsync(new GatewayOptions { Port = 0, Workers = [At("a", first), At("b", second)] });
            Assert.Equal(["other", "random"], gateway.State.Fleet.Workers[1].Models.Order());
            Assert.Equal(WorkerHealth.Ready, gateway.State.Fleet.Workers[1].Health);
            using var http = new HttpClient { Timeout = TimeSpan.FromMinutes(2) };
            foreach (var turn in Enumerable.Range(0, 3))
            {
                Assert.Equal("b", (await AskAsync(http, gateway.Address, TestFleet.Text(turn, 50), "other")).Worker);
                await AskAsync(http, second.Address, TestFleet.Text(turn, 50));
            }
        }
        folder.Delete(recursive: true);
    }

    private static async Task<(string Worker, int Cached)> AskAsync(HttpClient http, Uri server, string prompt, string model = "random")
    {
        using var response = await http.PostAsJsonAsync(new Uri(server, "/v1/completions"), new { model, prompt, max_tokens = AnswerTokens, temperature = 0 });
        response.EnsureSuccessStatusCode();
        var answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
        var worker = response.Headers.TryGetValues("x-kvasir-worker", out var names) ? names.Single() : "";
        return (worker, answer.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32());
    }

    private static Task<KvasirEngine> LoadAsync(string path) => KvasirEngine.LoadAsync(path, new KvasirOptions
    {
        ModelName = "random", Engine = Options,
    });

    private static EngineOptions Options { get; } = new() { Threads = 1, MemoryBytes = 1L << 30, ContextTokens = 2048, KvTokens = 16_384, MaxSequences = 4, ChunkTokens = 128 };

    private static async Task<KvasirServer> ServeAsync(KvasirEngine engine)
    {
        var server = await KvasirServer.StartAsync(new ServerOptions { Port = 0 });
        server.Attach(engine);
        return server;
    }

    private static WorkerAddress At(string name, KvasirServer server) => new() { Name = name, Address = server.Address };
}
