using System.Collections.Immutable;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.Sampling;
using Kvasir.Engine.Scheduling;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.Tests.Serving;

public sealed class VirtualEngineTests
{
    private const int Output = 299;

    [Theory]
    [InlineData(1, 512)]
    [InlineData(2, 512)]
    [InlineData(3, 2048)]
    public async Task Step_by_step_it_decides_what_the_engine_decides(uint number, int kvTokens)
    {
        var options = SteppedEngine.Roomy with { KvTokens = kvTokens, MaxSequences = 5 };
        await using var engine = new SteppedEngine(options);
        var books = new KvBooks(kvTokens / 16, 16, options.Eviction, TimeProvider.System);
        var requests = new List<VirtualRequest>();
        var still = new VirtualEngine(books, options);
        var planned = PlannedRequest.Of(number, 40).OrderBy(request => request.Arrival).ToArray();
        var replies = new List<Reply>();
        for (var step = 0; replies.Count < planned.Length || !replies.TrueForAll(reply => reply.IsDone); step++)
        {
            Assert.True(step < 5000, "Some requests are never done.");
            foreach (var plan in planned.Skip(replies.Count).TakeWhile(plan => plan.Arrival <= step))
            {
                // Whatever the model would say: both write the same.
                var sampling = SamplingOptions.Greedy with { Seed = 1, LogitBias = SamplingOptions.Greedy.LogitBias.Add(Output, 100) };
                var request = new GenerationRequest { Prompt = plan.Request.Prompt, MaxTokens = plan.Tokens + 1, Sampling = sampling, Priority = plan.Request.Priority, Tenant = plan.Request.Tenant, CacheSalt = plan.Request.CacheSalt };
                replies.Add(engine.Submit(request));
                requests.Add(still.Submit(request, Output));
            }
            engine.Step();
            if (still.Begin() is not null) still.End();
            var state = engine.State;
            Assert.Equal((state.Running, state.Waiting, state.Preemptions, state.KvBlocksUsed, state.KvBlocksIdle, state.KvEvictions),
                (still.Running, still.Waiting, still.Preemptions, books.Pool.Capacity - books.Pool.Free, books.Pool.Idle, books.Pool.Evictions));
        }
        Assert.All(replies.Zip(requests), pair => Assert.Equal(
            (pair.First.Stream.Usage.CachedTokens, pair.First.Stream.Usage.Preemptions, pair.First.Tokens.Count),
            (pair.Second.CachedTokens, pair.Second.Preemptions, pair.Second.OutputTokens)));
        Assert.True(replies.Exists(reply => reply.Stream.Usage.CachedTokens > 0));
        if (kvTokens < 2048) Assert.True(engine.State.KvEvictions > 0, "Nothing had to give way.");
    }

    [Fact]
    public void Steps_taken_together_end_as_single_ones_do()
    {
        var (together, preemptions) = (0, 0L);
        for (var seed = 0; seed < 60; seed++)
        {
            var single = new Run(seed, most: 0);
            var several = new Run(seed, most: int.MaxValue);
            Assert.True(single.Log.SequenceEqual(several.Log), $"Seed {seed}: {single.Log.Zip(several.Log).FirstOrDefault(pair => pair.First != pair.Second)}");
            together += several.Repeated;
            preemptions += several.Engine.Preemptions;
            several.Books.Pool.CheckIntegrity();
        }
        Assert.True(together > 1000 && preemptions > 20, $"Only {together} steps were taken with others, {preemptions} requests gave way.");
    }

    [Fact]
    public void Blocks_may_be_of_any_size()
    {
        var stored = new List<BlocksStored>();
        var books = new KvBooks(64, 512, EvictionKind.Arc, TimeProvider.System, batch => stored.AddRange(batch.Events.OfType<BlocksStored>()));
        var engine = new VirtualEngine(books, new EngineOptions { ChunkTokens = 8192, MixedChunkTokens = 8192 });
        ImmutableArray<int> text = [.. Enumerable.Range(0, 1300)];
        Assert.Equal(0, Finish(engine, text).CachedTokens);
        Assert.Equal(1024, stored.Sum(change => change.Tokens.Length));
        Assert.All(stored, change => Assert.Equal(512, change.BlockSize));
        // Two blocks, and of the third as much as agrees.
        Assert.Equal(1200, Finish(engine, [.. text[..1200], .. Enumerable.Repeat(7, 500)]).CachedTokens);
        Assert.Equal(512, Finish(engine, [.. text[..512], .. Enumerable.Repeat(8, 500)]).CachedTokens);
        Assert.Equal(64 * 512, books.ContextTokens);
        Assert.Equal(RefusalKind.ExceedsKvCache, Assert.Throws<RequestException>(() => engine.Submit(new GenerationRequest { Prompt = [.. new int[64 * 512]] }, 1)).Kind);
    }

    private static VirtualRequest Finish(VirtualEngine engine, ImmutableArray<int> prompt)
    {
        var request = engine.Submit(new GenerationRequest { Prompt = prompt, MaxTokens = 3 }, 1_000_000);
        while (engine.Begin() is not null) engine.End();
        return request;
    }

    /// <summary>A load drawn from a seed, on a clock that steps move: what was told when.</summary>
    private sealed class Run
    {
        private readonly Random _random;
        private readonly Queue<(double Time, GenerationRequest Request)> _coming = new();
        private readonly Dictionary<VirtualRequest, int> _numbers = [];
        private double _now;

        public Run(int seed, int most)
        {
            _random = new Random(seed);
            var size = _random.Next(1, 40);
            Books = new KvBooks(_random.Next(20, 60), size, (EvictionKind)(seed / 3 % 3), TimeProvider.System, batch => Log.AddRange(batch.Events.Select(Tell)));
            Engine = new VirtualEngine(Books, new EngineOptions { MaxSequences = _random.Next(1, 9), ChunkTokens = 64, MixedChunkTokens = _random.Next(1, 64), TenantKvShare = 0.4 })
            {
                FirstToken = request => Log.Add($"{_now:R} first {_numbers[request]}, {request.CachedTokens} cached"),
                Finished = request => Log.Add($"{_now:R} end {_numbers[request]}, {request.OutputTokens} tokens, {request.Preemptions} preemptions"),
            };
            var (time, longest) = (0.0, Books.ContextTokens / 2);
            for (var i = 0; i < 40; i++)
            {
                time += _random.NextDouble() * 60;
                var (start, length) = (_random.Next(4) * 10, _random.Next(1, longest));
                _coming.Enqueue((time, new GenerationRequest
                {
                    Prompt = [.. Enumerable.Range(0, length).Select(place => place < start ? place : (1000 * i) + place)],
                    MaxTokens = _random.Next(1, longest),
                    // Of three loads one has priorities, one tenants.
                    Priority = seed % 3 == 1 ? _random.Next(3) : 0,
                    Tenant = seed % 3 == 2 ? $"tenant {_random.Next(3)}" : null,
                }));
            }
            while (Step(most)) { }
            Assert.Equal(40, _numbers.Count);
            Assert.Equal(0, Engine.Running + Engine.Waiting);
        }

        public KvBooks Books { get; }
        public VirtualEngine Engine { get; }
        public List<string> Log { get; } = [];
        public int Repeated { get; private set; }

        private bool Step(int most)
        {
            if (Engine.Begin() is not { } work)
            {
                if (!_coming.TryPeek(out var next)) return false;
                _now = next.Time;
                TakeIn();
                return true;
            }
            var repeats = -1;
            do
            {
                repeats++;
                _now += 1 + (0.01 * work.PromptTokens) + (0.001 * work.AttentionPairs) + (0.1 * work.Decodes) + (0.003 * (work.ContextTokens + (repeats * work.Decodes)));
            }
            while (repeats < Math.Min(work.Repeats, most) && !(_coming.TryPeek(out var next) && next.Time < _now));
            Repeated += repeats;
            Engine.Repeat(repeats);
            TakeIn();
            Engine.End();
            return true;
        }

        private void TakeIn()
        {
            while (_coming.TryPeek(out var next) && next.Time <= _now)
            {
                _coming.Dequeue();
                _numbers.Add(Engine.Submit(next.Request, -1 - _numbers.Count), _numbers.Count);
            }
        }

        private string Tell(KvEvent change) => change switch
        {
            BlocksStored stored => $"{_now:R} stored {string.Join(' ', stored.Blocks)} after {stored.Parent}: {string.Join(' ', stored.Tokens)}",
            BlocksRemoved removed => $"{_now:R} removed {string.Join(' ', removed.Blocks)}",
            _ => change.ToString(),
        };
    }
}
