using Kvasir.Engine.KvCache;

namespace Kvasir.Engine.Tests.Serving;

/// <summary>Clients that leave.</summary>
public sealed class CancellationTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(12)]
    public async Task What_a_cancelled_request_held_is_free_in_the_next_step(int steps)
    {
        // After one step the prompt is half computed, after two it is whole, after twelve it decodes.
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { PrefixCache = false });
        var other = engine.Submit(SteppedEngine.Ask(prompt: 20, tokens: 40, seed: 3));
        engine.Step(3);
        int OfTheOther() => BlockTable.BlocksFor(20 + other.Tokens.Count - 1);
        Assert.Equal(OfTheOther(), engine.State.KvBlocksUsed);
        var reply = engine.Submit(SteppedEngine.Ask(prompt: 30, tokens: 50, seed: 4, first: 80));
        engine.Step(steps);
        Assert.InRange(engine.State.KvBlocksUsed - OfTheOther(), 2, 3);
        await reply.Stream.DisposeAsync();
        engine.Step();
        Assert.Equal(OfTheOther(), engine.State.KvBlocksUsed);
        Assert.Equal((1, FinishReason.Cancelled, true), (engine.State.Running, reply.Stream.FinishReason, reply.IsDone));
        engine.Finish();
        Assert.Equal(40, other.Tokens.Count);
        Assert.Equal((0, 0), (engine.State.KvBlocksUsed, engine.State.KvBlocksIdle));
    }

    [Fact]
    public async Task What_a_cancelled_request_computed_stays_for_others_but_is_free()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        var reply = engine.Submit(SteppedEngine.Ask(prompt: 60, tokens: 50));
        engine.Step(10);
        await reply.Stream.DisposeAsync();
        engine.Step();
        Assert.Equal(0, engine.State.KvBlocksUsed);
        Assert.InRange(engine.State.KvBlocksIdle, 4, 5);
        var again = engine.Submit(SteppedEngine.Ask(prompt: 60, tokens: 9));
        engine.Finish();
        Assert.Equal(59, again.Stream.Usage.CachedTokens);
        Assert.Equal(reply.Text[..9], again.Text);
    }

    [Fact]
    public async Task A_request_that_waits_can_leave_too()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { MaxSequences = 1 });
        var first = engine.Submit(SteppedEngine.Ask(prompt: 20, tokens: 20));
        var second = engine.Submit(SteppedEngine.Ask(prompt: 20, tokens: 20, first: 90));
        engine.Step(2);
        await second.Stream.DisposeAsync();
        engine.Step();
        Assert.Equal((0, FinishReason.Cancelled), (engine.State.Waiting, second.Stream.FinishReason));
        engine.Finish();
        Assert.Equal((20, 0), (first.Tokens.Count, second.Tokens.Count));
    }

    [Fact]
    public async Task Those_that_are_left_when_the_engine_closes_are_told_so()
    {
        var engine = new SteppedEngine(SteppedEngine.Roomy);
        var running = engine.Submit(SteppedEngine.Ask(prompt: 20, tokens: 20));
        engine.Step(2);
        var arrived = engine.Submit(SteppedEngine.Ask(prompt: 20, tokens: 20));
        await engine.DisposeAsync();
        foreach (var reply in (Reply[])[running, arrived])
            Assert.Equal(RefusalKind.Closing, (await Assert.ThrowsAsync<RequestException>(() => reply.Stream.Completion)).Kind);
        Assert.Equal(RefusalKind.Closing, Assert.Throws<RequestException>(() => engine.Submit(SteppedEngine.Ask(prompt: 5, tokens: 1))).Kind);
        Assert.Equal(0, engine.Engine.Ledger.UsedBytes);
    }
}
