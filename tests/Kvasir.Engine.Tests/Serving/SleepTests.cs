using Kvasir.Engine.KvCache;
using Kvasir.Kernels;
using Kvasir.Synthesis;

namespace Kvasir.Engine.Tests.Serving;

/// <summary>Engines that give their memory back and take it again.</summary>
public sealed class SleepTests
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    [Theory]
    [InlineData(SleepLevel.KvCache)]
    [InlineData(SleepLevel.Weights)]
    public async Task Who_has_slept_says_what_it_would_have_said(SleepLevel level)
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        var before = engine.Submit(SteppedEngine.Ask(40, 20));
        engine.Finish();
        var ledger = engine.Engine.Ledger.Lines();
        await SleepAsync(engine, level);
        Assert.Equal(level, engine.Engine.Sleeps);
        var lines = engine.Engine.Ledger.Lines().Select(line => line.Name).ToArray();
        Assert.DoesNotContain("kv/device", lines);
        Assert.Equal(level == SleepLevel.KvCache, lines.Contains("weights"));
        await WakeAsync(engine);
        Assert.Equal(ledger, engine.Engine.Ledger.Lines());
        var after = engine.Submit(SteppedEngine.Ask(40, 20));
        engine.Finish();
        Assert.Equal((0, before.Text), (after.Stream.Usage.CachedTokens, after.Text), Same);
    }

    [Fact]
    public async Task Who_sleeps_refuses_requests_until_it_is_woken()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        await SleepAsync(engine, SleepLevel.KvCache);
        Assert.Equal(RefusalKind.Asleep, Assert.Throws<RequestException>(() => engine.Submit(SteppedEngine.Ask(4, 1))).Kind);
        await SleepAsync(engine, SleepLevel.Weights);
        await SleepAsync(engine, SleepLevel.KvCache);
        Assert.Equal(SleepLevel.Weights, engine.Engine.Sleeps);
        await WakeAsync(engine);
        await WakeAsync(engine);
        engine.Submit(SteppedEngine.Ask(4, 1));
        engine.Finish();
    }

    [Fact]
    public async Task Requests_that_run_are_finished_first()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        var running = engine.Submit(SteppedEngine.Ask(40, 20));
        engine.Step(3);
        var sleeping = engine.Engine.SleepAsync(SleepLevel.Weights, Long);
        engine.Step(5);
        Assert.False(sleeping.IsCompleted);
        Assert.Throws<RequestException>(() => engine.Submit(SteppedEngine.Ask(4, 1)));
        engine.Finish();
        await sleeping;
        Assert.Equal(20, running.Tokens.Count);
    }

    [Fact]
    public async Task Who_waits_in_vain_leaves_the_engine_awake()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        engine.Submit(SteppedEngine.Ask(40, 20));
        engine.Step(3);
        var error = await Assert.ThrowsAsync<TimeoutException>(() => engine.Engine.SleepAsync(SleepLevel.KvCache, TimeSpan.Zero));
        Assert.Contains("stays awake", error.Message, StringComparison.Ordinal);
        engine.Finish();
        engine.Step();
        Assert.Equal(SleepLevel.Awake, engine.Engine.Sleeps);
        engine.Submit(SteppedEngine.Ask(40, 20));
        engine.Finish();
        Assert.Contains("kv/device", engine.Engine.Ledger.Lines().Select(line => line.Name));
    }

    [Fact]
    public async Task Who_gives_up_while_the_engine_saves_for_its_sleep_finds_it_awake_with_its_memory()
    {
        var time = new StoppingTime();
        await using var engine = new SteppedEngine(SteppedEngine.Roomy, time: time);
        var sleeping = engine.Engine.SleepAsync(SleepLevel.KvCache, Long);
        // A step looks at the clock for pins that end, then where it begins to save.
        time.FireAtLook = 2;
        engine.Step();
        await Assert.ThrowsAsync<TimeoutException>(() => sleeping);
        Assert.Equal(SleepLevel.Awake, engine.Engine.Sleeps);
        Assert.Contains("kv/device", engine.Engine.Ledger.Lines().Select(line => line.Name));
        engine.Submit(SteppedEngine.Ask(40, 20));
        engine.Finish();
    }

    [Fact]
    public async Task What_the_device_held_is_found_in_the_tiers_after_the_sleep()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { KvHostBytes = 1 << 20 });
        engine.Submit(SteppedEngine.Ask(100, 1));
        engine.Finish();
        await SleepAsync(engine, SleepLevel.Weights);
        await WakeAsync(engine);
        var again = engine.Submit(SteppedEngine.Ask(100, 1) with { Explain = true });
        engine.Finish();
        Assert.Equal(96, again.Stream.Explanation!.Cached.Host);
        engine.Engine.Blocks.CheckIntegrity();
    }

    [Fact]
    public async Task Memory_that_others_have_taken_keeps_it_asleep_with_the_numbers()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        await SleepAsync(engine, SleepLevel.Weights);
        var ledger = engine.Engine.Ledger;
        var free = ledger.FreeBytes;
        using (ledger.Reserve("another", free))
        {
            await Assert.ThrowsAsync<MemoryBudgetException>(() => WakeAsync(engine));
            Assert.Equal((SleepLevel.Weights, 0), (engine.Engine.Sleeps, ledger.FreeBytes));
        }
        Assert.Equal(free, ledger.FreeBytes);
        await WakeAsync(engine);
        Assert.Equal(SleepLevel.Awake, engine.Engine.Sleeps);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Who_begins_asleep_keeps_nothing_and_wakes_as_if_it_had_been_awake(bool isTried)
    {
        // Trying keys and values in few bits needs the weights, for a moment.
        var options = SteppedEngine.Roomy with { KvFormat = isTried ? KvFormat.Q8_0 : KvFormat.F16, KvCanaryTokens = isTried ? [.. Enumerable.Range(0, 64)] : [], KvCanaryBound = 10 };
        await using var awake = new SteppedEngine(options);
        await using var engine = new SteppedEngine(options with { StartsAsleep = true });
        Assert.Equal(SleepLevel.Weights, engine.Engine.Sleeps);
        Assert.Equal(isTried, engine.Engine.KvCanary is not null);
        Assert.Equal((engine.Engine.Plan.AsleepBytes, engine.Engine.Plan.TotalBytes), (engine.Engine.Ledger.UsedBytes, awake.Engine.Ledger.UsedBytes));
        Assert.Equal(RefusalKind.Asleep, Assert.Throws<RequestException>(() => engine.Submit(SteppedEngine.Ask(4, 1))).Kind);
        await WakeAsync(engine);
        Assert.Equal(awake.Engine.Ledger.Lines(), engine.Engine.Ledger.Lines());
        var replies = new[] { awake, engine }.Select(one =>
        {
            var reply = one.Submit(SteppedEngine.Ask(40, 20));
            one.Finish();
            return reply.Text;
        }).ToArray();
        Assert.Equal(replies[0], replies[1]);
    }

    [Fact]
    public void Engines_of_which_some_are_awake_fit_their_budget_whichever_are()
    {
        var checkpoint = TinyModels.Of(SyntheticFamily.Llama);
        long budget = 32 << 20;
        EngineOptions[] models = [SteppedEngine.Roomy, SteppedEngine.Roomy with { ChunkTokens = 128 }, SteppedEngine.Roomy with { KvHostBytes = 1 << 20 }, SteppedEngine.Roomy];
        models = [.. models.Select(options => options with { KvTokens = null, MaxSequences = 512 })];
        for (var awake = 1; awake <= models.Length; awake++)
        {
            var share = EngineMemoryPlan.ShareBytes([.. models.Select(options => Plan(options, budget / awake))], awake, budget);
            var plans = models.Select(options => Plan(options, share)).ToArray();
            Assert.InRange(share, 1, budget / awake);
            for (var who = 0; who < 1 << plans.Length; who++)
                if (System.Numerics.BitOperations.PopCount((uint)who) == awake)
                    Assert.InRange(plans.Select((plan, i) => (who >> i & 1) == 1 ? plan.TotalBytes : plan.AsleepBytes).Sum(), budget / 4, budget);
        }

        EngineMemoryPlan Plan(EngineOptions options, long bytes) => EngineMemoryPlan.For(checkpoint.Spec, checkpoint.Tensors, options, bytes);
    }

    [Fact]
    public async Task Files_that_were_written_to_keep_it_asleep()
    {
        var path = Path.Combine(Path.GetTempPath(), $"kvasir-sleep-{Environment.ProcessId}.gguf");
        SyntheticCheckpoint.Write(path, SyntheticModel.Tiny(SyntheticFamily.Llama));
        try
        {
            using var checkpoint = Kvasir.Checkpoints.Checkpoint.Open(path);
            await using var engine = LlmEngine.Create(checkpoint, SteppedEngine.Roomy with { StartsAsleep = true });
            await using (var file = new FileStream(path, FileMode.Open)) file.SetLength(file.Length - 1);
            var error = await Assert.ThrowsAsync<Kvasir.Checkpoints.CheckpointException>(engine.WakeAsync);
            Assert.Contains(path, error.Message, StringComparison.Ordinal);
            Assert.Equal((SleepLevel.Weights, engine.Plan.AsleepBytes), (engine.Sleeps, engine.Ledger.UsedBytes));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task Pins_end_with_the_sleep()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        engine.Submit(SteppedEngine.Ask(64, 1));
        engine.Finish();
        var pin = engine.Engine.TryPinAsync(SteppedEngine.Ask(64, 0).Prompt, null);
        engine.Step();
        Assert.NotNull(await pin);
        await SleepAsync(engine, SleepLevel.KvCache);
        Assert.Equal((0, 0), (engine.State.KvBlocksPinned, engine.State.KvBlocksIdle));
    }

    [Fact]
    public void Discarded_memory_is_zero_and_stays_usable()
    {
        foreach (var bytes in (long[])[1000, 5 << 20])
        {
            using var buffer = new NativeBuffer(bytes);
            var end = buffer.All.AsSpan(bytes - 8, 8);
            end.Fill(7);
            buffer.Discard();
            Assert.All(end.ToArray(), value => Assert.Equal(0, value));
            end.Fill(9);
            Assert.Equal(9, buffer.All.AsSpan(bytes - 1, 1)[0]);
        }
    }

    private static async Task SleepAsync(SteppedEngine engine, SleepLevel level)
    {
        var sleeping = engine.Engine.SleepAsync(level, Long);
        engine.Step();
        await sleeping;
    }

    private static async Task WakeAsync(SteppedEngine engine)
    {
        var waking = engine.Engine.WakeAsync();
        engine.Step();
        await waking;
    }

    /// <summary>A clock that stands still; the timers set by it end when it is looked at for the n-th time.</summary>
    private sealed class StoppingTime : TimeProvider
    {
        private Action _fire = () => { };

        public int FireAtLook { get; set; }

        public override long GetTimestamp()
        {
            if (FireAtLook > 0 && --FireAtLook == 0) _fire();
            return 1;
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _fire = () => callback(state);
            return System.CreateTimer(_ => { }, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    private static bool Same((int Cached, int[] Text) a, (int Cached, int[] Text) b) => a.Cached == b.Cached && a.Text.SequenceEqual(b.Text);
}
