using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Kvasir.Engine.Sampling;
using Kvasir.Engine.Tests.Serving;
using Kvasir.Synthesis;
using StackExchange.Redis;

namespace Kvasir.Engine.Tests.KvCache;

/// <summary>Engines that share blocks through a real Redis server.</summary>
public sealed class RemoteTierTests
{
    private const int PromptTokens = 400, Shared = 384;

    private static readonly GenerationRequest Request = new()
    {
        Prompt = [.. Enumerable.Range(0, PromptTokens).Select(i => (i * 7) % 300)], MaxTokens = 8, Sampling = SamplingOptions.Greedy,
    };

    [Fact]
    public async Task What_one_machine_computed_another_need_not()
    {
        using var redis = RedisServer.Start();
        var (expected, none) = await AskAsync(redis.Address);
        Assert.Equal(0, none);
        var (tokens, cached) = await AskAsync(redis.Address);
        Assert.Equal(Shared, cached);
        Assert.Equal(expected, tokens);
    }

    [Fact]
    public async Task What_came_from_a_server_is_told_as_such()
    {
        using var redis = RedisServer.Start();
        await AskAsync(redis.Address);
        await using var engine = Create(redis.Address);
        var stream = engine.Submit(Request with { Explain = true });
        await foreach (var _ in stream) { }
        Assert.Equal(new TierTokens(0, 0, 0, Shared), stream.Explanation!.Cached);
    }

    [Fact]
    public async Task Tenants_are_kept_apart()
    {
        using var redis = RedisServer.Start();
        await AskAsync(redis.Address);
        Assert.Equal(0, (await AskAsync(redis.Address, Request with { CacheSalt = "another" })).Cached);
        Assert.Equal(Shared, (await AskAsync(redis.Address, Request with { CacheSalt = "another" })).Cached);
    }

    [Fact]
    public async Task A_value_that_was_changed_is_computed_again()
    {
        using var redis = RedisServer.Start();
        var (expected, _) = await AskAsync(redis.Address);
        using (var client = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{redis.Port}"))
        {
            var server = client.GetServers().Single();
            Assert.Equal(25, server.Keys().Count());
            foreach (var key in server.Keys()) await client.GetDatabase().StringSetRangeAsync(key, 100, "x");
        }
        await using var engine = Create(redis.Address);
        var (tokens, cached) = await AskAsync(engine, Request);
        Assert.Equal(0, cached);
        Assert.Equal(expected, tokens);
        Assert.Equal(1, engine.Snapshot().KvTiers.Single(tier => tier.Name == "remote").Damaged);
    }

    [Fact]
    public async Task A_transfer_that_breaks_off_costs_time_alone()
    {
        using var redis = RedisServer.Start();
        var (expected, _) = await AskAsync(redis.Address);
        foreach (var bytes in (int[])[100, 20_000, 60_000])
        {
            using var proxy = new CuttingProxy(redis.Port, bytes);
            var (tokens, cached) = await AskAsync(proxy.Address);
            Assert.Equal(expected, tokens);
            Assert.InRange(cached, 0, Shared);
        }
    }

    [Fact]
    public async Task A_server_that_dies_is_told_once_and_done_without_until_it_is_back()
    {
        using var redis = RedisServer.Start();
        var warnings = new ConcurrentQueue<string>();
        await using var engine = Create(redis.Address, warnings.Enqueue);
        var (expected, _) = await AskAsync(engine, Request);
        redis.Kill();
        for (var salt = 0; salt < 3; salt++)
            Assert.Equal(expected, (await AskAsync(engine, Request with { CacheSalt = $"{salt}" })).Tokens);
        await UntilAsync(() => !warnings.IsEmpty);
        Assert.Contains("remote KV tier", Assert.Single(warnings), StringComparison.Ordinal);
        Assert.Equal(0, engine.Snapshot().Running);
    }

    [Fact]
    public async Task An_engine_starts_where_no_server_answers()
    {
        var warnings = new ConcurrentQueue<string>();
        using var proxy = new CuttingProxy(1, 0);
        var (_, cached) = await AskAsync(proxy.Address, warn: warnings.Enqueue);
        Assert.Equal(0, cached);
        Assert.Single(warnings);
    }

    [Fact]
    public void A_remote_tier_needs_host_memory_and_an_address()
    {
        var options = new EngineOptions { KvRemote = new KvRemoteOptions(new Uri("redis://cache")) };
        Assert.Contains("--kv-host", options.Problem(), StringComparison.Ordinal);
        Assert.Null((options with { KvHostBytes = 1 }).Problem());
        Assert.Contains("redis://host:port", (options with { KvHostBytes = 1, KvRemote = new KvRemoteOptions(new Uri("http://cache")) }).Problem(), StringComparison.Ordinal);
    }

    private static LlmEngine Create(Uri address, Action<string>? warn = null) => LlmEngine.Create(TinyModels.Of(SyntheticFamily.Llama), new EngineOptions
    {
        MemoryBytes = 1L << 30, ContextTokens = 512, KvTokens = 512, MaxSequences = 2, Threads = 1, KvHostBytes = 4 << 20,
        KvRemote = new KvRemoteOptions(address), Warn = warn ?? (static _ => { }),
    });

    /// <summary>Asks an engine of its own, and ends it when all is sent.</summary>
    private static async Task<(int[] Tokens, int Cached)> AskAsync(Uri address, GenerationRequest? request = null, Action<string>? warn = null)
    {
        await using var engine = Create(address, warn);
        return await AskAsync(engine, request ?? Request);
    }

    private static async Task<(int[] Tokens, int Cached)> AskAsync(LlmEngine engine, GenerationRequest request)
    {
        var tokens = new List<int>();
        var stream = engine.Submit(request);
        await foreach (var token in stream) tokens.Add(token.Token);
        return ([.. tokens], stream.Usage.CachedTokens);
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!holds()) await Task.Delay(20, limit.Token);
    }

    /// <summary>Passes bytes on to a server, and breaks off after so many of its own.</summary>
    private sealed class CuttingProxy : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly int _port;
        private int _left;

        public CuttingProxy(int port, int bytes)
        {
            (_port, _left) = (port, bytes);
            _listener.Start();
            _ = AcceptAsync();
        }

        public Uri Address => new($"redis://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");

        public void Dispose() => _listener.Dispose();

        private async Task AcceptAsync()
        {
            try
            {
                while (true) _ = PassAsync(await _listener.AcceptTcpClientAsync());
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException or InvalidOperationException)
            {
                // The test is over.
            }
        }

        private async Task PassAsync(TcpClient client)
        {
            using (client)
            {
                try
                {
                    using var server = new TcpClient();
                    await server.ConnectAsync(IPAddress.Loopback, _port);
                    _ = client.GetStream().CopyToAsync(server.GetStream());
                    var buffer = new byte[4096];
                    while (await server.GetStream().ReadAsync(buffer) is var read and > 0)
                    {
                        var left = Interlocked.Add(ref _left, -read);
                        if (left < 0) return;
                        await client.GetStream().WriteAsync(buffer.AsMemory(0, read));
                    }
                }
                catch (Exception error) when (error is IOException or SocketException)
                {
                    // Either side is gone, as the test wants.
                }
            }
        }
    }
}
