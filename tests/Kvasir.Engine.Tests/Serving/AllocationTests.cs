using Kvasir.Engine.Sampling;

namespace Kvasir.Engine.Tests.Serving;

public sealed class AllocationTests
{
    public static TheoryData<SamplingOptions> Samplings() => new()
    {
        SamplingOptions.Greedy with { Seed = 1 },
        new SamplingOptions { Seed = 1 },
        new SamplingOptions { Seed = 1, TopK = 40, TopP = 0.9f, MinP = 0.001f, TypicalP = 0.99f },
        new SamplingOptions { Seed = 1, LogitBias = SamplingOptions.Greedy.LogitBias.Add(7, 1).Add(9, -1) },
    };

    /// <summary>
    /// The engine's thread is the test's, and one worker does what all do. Sequences of 150 to 250 tokens need no larger
    /// arrays for their tokens and blocks: those double now and then, which is not per token.
    /// </summary>
    [Theory, MemberData(nameof(Samplings))]
    public async Task Decoding_allocates_nothing(SamplingOptions sampling)
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        for (var i = 0; i < 6; i++) engine.Submit(SteppedEngine.Ask(prompt: 100 + i, tokens: 150, first: 30 * i) with { Sampling = sampling });
        engine.Step(110);
        Assert.Equal(6, engine.State.Running);
        var (before, tokens) = (GC.GetAllocatedBytesForCurrentThread(), engine.State.GeneratedTokens);
        var snapshots = GC.GetAllocatedBytesForCurrentThread() - before;
        var allocating = 0;
        for (var step = 0; step < 30; step++)
        {
            before = GC.GetAllocatedBytesForCurrentThread();
            engine.Engine.Step();
            if (GC.GetAllocatedBytesForCurrentThread() > before) allocating++;
        }
        Assert.Equal(180, engine.State.GeneratedTokens - tokens);
        // A collection that another test's thread begins counts what is left of this thread's buffer as allocated. What
        // a step or a block allocates would show in 30 or in 11 of the steps.
        Assert.InRange(allocating, 0, 3);
        Assert.True(snapshots > 0, "The measure itself counts nothing.");
    }
}
