using Kvasir.Synthesis.Fuzzing;

namespace Kvasir.Checkpoints.Tests;

public sealed class FuzzTests
{
    /// <summary>Longer runs: the fuzz command of Kvasir.Synthesis.</summary>
    [Fact]
    public void Damaged_checkpoints_open_or_are_refused_soon_and_within_their_size()
    {
        var run = Fuzzer.Run(seed: 20260704, perTarget: 250, until: TimeSpan.FromSeconds(40));
        Assert.True(run.Failures.Count == 0, string.Join('\n', run.Failures));
        Assert.True(run.Refused > run.Mutations / 2, $"{run.Refused} of {run.Mutations} were refused: the damage misses the headers");
        Assert.True(run.Refused < run.Mutations, "not one was harmless: the originals may not open");
    }
}
