using CsCheck;

namespace Kvasir.Engine.Tests.Serving;

/// <summary>
/// Random schedules on small engines: requests that come and leave at any step, share prefixes, wait for each other, find
/// no room, give way, and come back from host memory or disk.
/// </summary>
public sealed class ScheduleTests
{
    [Fact]
    public void Whatever_happens_every_request_gets_what_it_would_have_got_alone()
    {
        var (preempted, hits, evicted, loaded, broken, cancelled) = (0L, 0L, 0L, 0L, 0L, 0);
        for (var number = 1u; number <= 100; number++)
        {
            var schedule = RandomSchedule.Of(number);
            try
            {
                var (state, left) = Run(schedule);
                (preempted, hits, evicted, cancelled) = (preempted + state.Preemptions, hits + state.PrefixHitTokens, evicted + state.KvEvictions, cancelled + left);
                broken += state.BrokenPins;
                loaded += state.KvTiers.Where(tier => tier.Name == "host").Sum(tier => tier.Loaded);
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"Schedule {number} failed: {schedule}", error);
            }
        }
        // Schedules in which nothing happens would prove nothing.
        Assert.True(preempted > 40 && hits > 1000 && evicted > 200 && loaded > 5 && broken > 0 && cancelled > 100,
            $"Only {preempted} preemptions, {hits} tokens found, {evicted} blocks evicted, {loaded} loaded from tiers, {broken} pins broken, {cancelled} clients gone.");
    }

    [Fact]
    public void So_it_is_in_any_number_of_further_schedules()
    {
        Assert.SkipWhen(Environment.GetEnvironmentVariable("CsCheck_Iter") is null, "Set CsCheck_Iter to 10000 to run ten thousand schedules, drawn anew each time, which takes minutes.");
        RandomSchedule.Gen.Sample(static schedule => { Run(schedule); });
    }

    /// <summary>With a disk tier the schedule runs twice: what the first engine left, the second finds.</summary>
    private static (EngineSnapshot State, int Cancelled) Run(RandomSchedule schedule)
    {
        if (schedule.Options.KvDisk is not { } disk) return RunOnce(schedule);
        var folder = Directory.CreateTempSubdirectory("kvasir-schedule-");
        schedule = schedule with { Options = schedule.Options with { KvDisk = disk with { Folder = folder.FullName } } };
        RunOnce(schedule);
        var outcome = RunOnce(schedule);
        folder.Delete(recursive: true);
        return outcome;
    }

    private static (EngineSnapshot State, int Cancelled) RunOnce(RandomSchedule schedule)
    {
        var engine = new SteppedEngine(schedule.Options, schedule.Family);
        var ledger = engine.Engine.Ledger.Lines();
        var replies = new Reply?[schedule.Requests.Length];
        for (var step = 0; step < 31 || !Array.TrueForAll(replies, reply => reply is null or { IsDone: true }); step++)
        {
            Assert.True(step < 5000, "A request is never done.");
            for (var i = 0; i < replies.Length; i++)
            {
                var planned = schedule.Requests[i];
                if (planned.Arrival == step) replies[i] = Submit(engine, planned);
                if (!planned.Stays && planned.Arrival + planned.Leaves == step) replies[i]?.Leave();
            }
            if (step % 3 == 1) Disturb(engine.Engine, schedule.Requests[step % replies.Length], step);
            engine.Step();
            engine.Engine.Blocks.CheckIntegrity();
        }
        for (var i = 0; i < replies.Length; i++)
            if (replies[i] is { } reply) Check(schedule, i, reply, engine.Engine.ContextTokens);
        engine.Engine.DeleteAllAsync();
        engine.Step();
        engine.Engine.Blocks.CheckIntegrity();
        var state = engine.State;
        Assert.Equal((0, 0), (state.KvBlocksPinned, state.KvBlocksIdle));
        Assert.Equal((0, 0, 0, engine.Engine.Blocks.Capacity), (state.Running, state.Waiting, state.KvBlocksUsed, engine.Engine.Blocks.Free));
        Assert.Equal(ledger, engine.Engine.Ledger.Lines());
        engine.DisposeAsync().AsTask().GetAwaiter().GetResult();
        Assert.Equal(0, engine.Engine.Ledger.UsedBytes);
        return (state, replies.Count(reply => reply is { Stream.FinishReason: FinishReason.Cancelled }));
    }

    /// <summary>Pins, unpins and deletes what the requests are about, drawn from the schedule itself. Nobody waits for what comes of it.</summary>
    private static void Disturb(LlmEngine engine, PlannedRequest about, int step)
    {
        if (!about.Disturbs) return;
        var request = about.Request;
        if (step % 2 == 0 && request.Prompt.Length >= 16) Ignore(engine.TryPinAsync(request.Prompt[..Math.Min(32, request.Prompt.Length)], request.CacheSalt));
        else if (engine.Snapshot().KvBlocksPinned > 0 && step % 7 == 0) Ignore(engine.UnpinAllAsync());
        else if (about.Kind == 0) Ignore(engine.DeleteAllAsync());
        else if (about.Kind == 6) Ignore(engine.DeleteSaltAsync("another tenant"));
        else if (about.Kind == 1) Ignore(engine.CachedAsync());
        else if (step % 5 == 0) Ignore(engine.DeleteTenantAsync("default"));
    }

    // A refusal is as good an answer as any here.
    private static void Ignore(Task task) => task.ContinueWith(static done => _ = done.Exception, TaskScheduler.Default);

    private static void Check(RequestExplanation told, RequestUsage usage)
    {
        Assert.Equal((usage.CachedTokens, usage.Preemptions), (told.Cached.Total, told.Preemptions));
        Assert.Equal(usage.PromptTokens, told.Cached.Total + told.Missed.New + told.Missed.Evicted + told.Missed.Salt + told.Missed.BelowBlock + told.Missed.Lost);
        Assert.Equal(told.Missed.Evicted, told.Evictions.Sum(part => part.Tokens));
    }

    private static Reply? Submit(SteppedEngine engine, PlannedRequest planned)
    {
        var fits = planned.Prompt + Math.Min(1, planned.Tokens) <= engine.Engine.ContextTokens;
        if (fits) return engine.Submit(planned.Request);
        Assert.Contains($"has {planned.Prompt} tokens", Assert.Throws<RequestException>(() => engine.Submit(planned.Request)).Message, StringComparison.Ordinal);
        return null;
    }

    private static void Check(RandomSchedule schedule, int index, Reply reply, int context)
    {
        var alone = SoloEngine.Run(schedule.Family, schedule.Options.KvFormat, context, schedule.Requests[index]);
        var got = reply.Tokens.Select(token => (token.Token, token.LogProbability)).ToArray();
        if (reply.Stream.FinishReason == FinishReason.Cancelled)
        {
            Assert.False(schedule.Requests[index].Stays);
            Assert.Equal(alone.Tokens[..got.Length], got);
            return;
        }
        Assert.True(reply.Stream.Completion.Exception is null, $"{reply.Stream.Completion.Exception}");
        Assert.Equal(alone.Tokens, got);
        Assert.Equal(alone.Reason, reply.Stream.FinishReason);
        Check(reply.Stream.Explanation!, reply.Stream.Usage);
        Assert.Equal(alone.PromptScores, reply.Stream.PromptLogProbabilities.ToArray());
    }
}
