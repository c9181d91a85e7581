using Kvasir.Engine.KvCache;

namespace Kvasir.Engine.Tests.Serving;

/// <summary>What a request is told of itself.</summary>
public sealed class ExplanationTests
{
    [Fact]
    public async Task What_was_found_and_what_was_not_add_up_to_the_prompt()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        Assert.Equal(new MissedTokens(64, 0, 0, 6, 0), Run(engine, SteppedEngine.Ask(70, 2)).Missed);
        var again = Run(engine, SteppedEngine.Ask(70, 2));
        Assert.Equal((new TierTokens(69, 0, 0), new MissedTokens(0, 0, 0, 1, 0)), (again.Cached, again.Missed));
    }

    [Fact]
    public async Task What_had_to_give_way_is_told_with_time_and_reason()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { KvTokens = 128, ContextTokens = 128 });
        Run(engine, SteppedEngine.Ask(64, 2));
        Run(engine, SteppedEngine.Ask(120, 2, first: 3));
        var told = Run(engine, SteppedEngine.Ask(64, 2));
        Assert.True(told.Missed.Evicted > 32, $"{told}");
        Assert.Equal(64, told.Cached.Total + told.Missed.Evicted + told.Missed.BelowBlock + told.Missed.New);
        Assert.Equal(told.Missed.Evicted, told.Evictions.Sum(part => part.Tokens));
        Assert.All(told.Evictions, part => Assert.True(part is { Reason: EvictionReason.Room, SecondsAgo: >= 0 }));
    }

    [Fact]
    public async Task Tokens_from_host_memory_are_told_as_such()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { KvTokens = 128, ContextTokens = 128, KvHostBytes = 1 << 20 });
        Run(engine, SteppedEngine.Ask(70, 2));
        Run(engine, SteppedEngine.Ask(120, 2, first: 3));
        var told = Run(engine, SteppedEngine.Ask(70, 2));
        Assert.True(told.Cached.Host > 16, $"{told}");
        Assert.Equal((0, 70), (told.Missed.Evicted, told.Cached.Total + told.Missed.BelowBlock + told.Missed.New));
    }

    [Fact]
    public async Task A_salt_that_is_new_explains_itself_and_says_nothing_of_others()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        Run(engine, SteppedEngine.Ask(64, 2));
        Assert.Equal(63, Run(engine, SteppedEngine.Ask(64, 2) with { CacheSalt = "a" }).Missed.Salt);
        Assert.Equal(63, Run(engine, SteppedEngine.Ask(64, 2) with { CacheSalt = "a" }).Cached.Device);
        Assert.Equal((0, 63), (Run(engine, SteppedEngine.Ask(64, 2, first: 5) with { CacheSalt = "a" }).Missed is var missed ? missed.Salt : -1, missed.New));
    }

    [Fact]
    public async Task Giving_way_is_told_with_what_was_found_again_and_what_was_not()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { KvTokens = 128, ContextTokens = 96, MaxSequences = 2 });
        var first = engine.Submit(SteppedEngine.Ask(30, 50) with { Explain = true });
        var second = engine.Submit(SteppedEngine.Ask(30, 50, first: 9) with { Explain = true });
        engine.Finish();
        var told = second.Stream.Explanation!;
        Assert.Equal(0, first.Stream.Explanation!.Preemptions);
        Assert.True(told.Preemptions > 0 && told.Recomputed + told.Restored.Total > 0, $"{told}");
    }

    [Fact]
    public async Task A_request_that_does_not_ask_is_told_nothing()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        var reply = engine.Submit(SteppedEngine.Ask(20, 2));
        engine.Finish();
        Assert.Null(reply.Stream.Explanation);
    }

    private static RequestExplanation Run(SteppedEngine engine, GenerationRequest request)
    {
        var reply = engine.Submit(request with { Explain = true });
        engine.Finish();
        return reply.Stream.Explanation!;
    }
}
