using Kvasir.Adapters;
using Kvasir.Checkpoints;
using Kvasir.Engine;
using Kvasir.Gateway.Index;
using Kvasir.Protocol.KvEvents;
using Kvasir.Server;
using Kvasir.Server.Events;
using Kvasir.Synthesis;

namespace Kvasir.Gateway.Tests.Index;

/// <summary>Our own engine's events over a socket, read by what reads vLLM's.</summary>
public sealed class KvasirEventsTests : IAsyncDisposable
{
    private const int Block = 16;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvasir-test-");
    private readonly KvEventPublisher _publisher = new(new KvEventOptions("tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "kv"));
    private readonly Checkpoint _checkpoint;
    private readonly LlmEngine _engine;
    private readonly EventIndex _index = new(Block, 1);
    private readonly Lock _lock = new();
    private int _markers;
    private BlockKey _seen;

    public KvasirEventsTests()
    {
        var path = Path.Combine(_folder.FullName, "random.gguf");
        SyntheticCheckpoint.Write(path, SyntheticModel.Tiny(SyntheticFamily.Llama));
        _checkpoint = Checkpoint.Open(path);
        _engine = LlmEngine.Create(_checkpoint, new EngineOptions { MemoryBytes = 2L << 30, ContextTokens = 256, KvTokens = 20 * Block, KvHostBytes = 1 << 18, Threads = 1, MaxSequences = 2, KvEvents = _publisher.Publish }, time: new HastyClock());
    }

    public async ValueTask DisposeAsync()
    {
        await _engine.DisposeAsync();
        _checkpoint.Dispose();
        _publisher.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task The_index_foretells_what_the_engine_finds_in_its_cache()
    {
        using var subscriber = Subscribe();
        var random = new Random(5);
        var texts = Enumerable.Range(0, 6).Select(_ => Enumerable.Range(0, 160).Select(_ => random.Next(1, 200)).ToArray()).ToArray();
        var hits = 0;
        for (var i = 0; i < 40; i++)
        {
            var prompt = texts[random.Next(texts.Length)][..random.Next(20, 160)];
            var foretold = await ForetoldAsync(prompt);
            var stream = _engine.Submit(new GenerationRequest { Prompt = [.. prompt], MaxTokens = 2 });
            await foreach (var _ in stream) { }
            Assert.Equal(foretold, stream.Usage.CachedTokens / Block * Block);
            hits += foretold;
        }
        Assert.True(hits > 400, $"{hits}");
        Assert.Equal((0, 0), (_index.Orphans, subscriber.Stream.Lost));
    }

    [Fact]
    public async Task Who_comes_late_learns_by_replay_what_was_there_before()
    {
        var prompt = Enumerable.Range(1, 100).ToArray();
        await foreach (var _ in _engine.Submit(new GenerationRequest { Prompt = [.. prompt], MaxTokens = 1 })) { }
        using var subscriber = Subscribe();
        // A message tells a newcomer that there were others.
        var salt = 0;
        await TestFleet.UntilAsync(() =>
        {
            _engine.Submit(new GenerationRequest { Prompt = [.. Enumerable.Repeat(7, 40)], MaxTokens = 1, CacheSalt = $"{salt++}" });
            return Foretold(prompt) == 96;
        });
    }

    [Fact]
    public async Task Texts_under_a_salt_are_found_under_it_alone()
    {
        using var subscriber = Subscribe();
        var prompt = Enumerable.Range(1, 100).ToArray();
        await foreach (var _ in _engine.Submit(new GenerationRequest { Prompt = [.. prompt], MaxTokens = 1, CacheSalt = "tenant" })) { }
        Assert.Equal(0, await ForetoldAsync(prompt));
        var adapter = EngineAdapter.Of(EngineKind.Kvasir);
        Assert.Equal((96, 0), (Foretold(prompt, adapter.SaltInEvents("tenant")), Foretold(prompt, adapter.SaltInEvents("other"))));
    }

    [Fact]
    public void An_address_that_is_taken_is_an_error_that_names_it()
    {
        var taken = $"tcp://127.0.0.1:{_publisher.Port}";
        Assert.Contains(taken, Assert.Throws<ServerStartException>(() => new KvEventPublisher(new KvEventOptions(taken))).Message, StringComparison.Ordinal);
        Assert.Contains("nonsense", Assert.Throws<ServerStartException>(() => new KvEventPublisher(new KvEventOptions("nonsense"))).Message, StringComparison.Ordinal);
    }

    private KvEventSubscriber Subscribe() => new($"tcp://127.0.0.1:{_publisher.Port}", $"tcp://127.0.0.1:{_publisher.ReplayPort}", Apply, () =>
    {
        lock (_lock) _index.Clear(0);
    });

    private void Apply(KvEventBatch batch)
    {
        lock (_lock)
            foreach (var change in batch.Events)
            {
                _index.Apply(0, change);
                if (change is BlocksRemoved { Blocks: [var key] } && key.Low <= (ulong)_markers) _seen = key;
            }
    }

    /// <summary>What the index says once it has heard everything: a marker is published last.</summary>
    private async Task<int> ForetoldAsync(int[] prompt)
    {
        await TestFleet.UntilAsync(() => _engine.Snapshot().Running == 0);
        var marker = new BlockKey(0, (ulong)Interlocked.Increment(ref _markers));
        // Until the subscription stands, messages go nowhere; the first that arrives brings the others by replay.
        await TestFleet.UntilAsync(() =>
        {
            _publisher.Publish(new KvEventBatch(0, [new BlocksRemoved { Blocks = [marker] }]));
            lock (_lock) return _seen == marker;
        });
        return Foretold(prompt);
    }

    /// <summary>By this clock computing takes so long that loading a block is always worth while, however busy the machine.</summary>
    private sealed class HastyClock : TimeProvider
    {
        public override long TimestampFrequency => System.TimestampFrequency / 10_000;
    }

    private int Foretold(int[] prompt, string? salt = null)
    {
        lock (_lock)
        {
            var chain = new ulong[(prompt.Length - 1) / Block];
            var count = _index.Name(prompt, chain, salt: salt);
            var found = new int[Enum.GetValues<KvTier>().Length];
            _index.Match(chain.AsSpan(0, count), found);
            return found.Max() * Block;
        }
    }
}
