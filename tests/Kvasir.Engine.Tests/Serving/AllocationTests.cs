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
        before = GC.GetAllocatedBytesForCurrentThread();
        for (var step = 0; step < 30; step++) engine.Engine.Step();
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(180, engine.State.GeneratedTokens - tokens);
        Assert.Equal(0, allocated);
        Assert.True(snapshots > 0, "The measure itself counts nothing.");
    }
}
