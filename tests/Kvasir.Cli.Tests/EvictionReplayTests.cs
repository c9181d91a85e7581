using System.Collections.Immutable;
using Kvasir.Cli.Benchmarks;
using Kvasir.Engine.KvCache;
using Kvasir.Simulation.Traces;

namespace Kvasir.Cli.Tests;

public sealed class EvictionReplayTests
{
    public static TheoryData<EvictionKind> Policies => [EvictionKind.Lru, EvictionKind.SegmentedLru, EvictionKind.Arc];

    [Theory, MemberData(nameof(Policies))]
    public void A_pool_that_holds_everything_finds_what_a_pool_without_end_finds(EvictionKind policy)
    {
        var trace = Made([1, 2, 3], [1, 2, 4, 5], [6, 7], [1, 2, 3, 8], [6, 7, 9]);

        Assert.Equal((2 + 3 + 2) / 16.0, EvictionReplay.MostHitRate(trace), 6);
        Assert.Equal(EvictionReplay.MostHitRate(trace), EvictionReplay.HitRate(trace, policy, EvictionReplay.DistinctBlocks(trace)), 6);
    }

    [Theory, MemberData(nameof(Policies))]
    public void A_prompt_longer_than_the_pool_finds_its_start_again(EvictionKind policy) =>
        Assert.Equal(2.0 / 8, EvictionReplay.HitRate(Made([1, 2, 3, 4], [1, 2, 3, 4]), policy, 2), 6);

    [Fact]
    public void A_flood_of_prompts_that_never_return_leaves_segmented_lru_what_lru_forgets()
    {
        ImmutableArray<ulong>[] popular = [[1], [1]];
        var trace = Made([.. popular, .. Enumerable.Range(10, 20).Select(name => ImmutableArray.Create((ulong)name)), [1]]);

        Assert.Equal(1.0 / 23, EvictionReplay.HitRate(trace, EvictionKind.Lru, 4), 6);
        Assert.Equal(2.0 / 23, EvictionReplay.HitRate(trace, EvictionKind.SegmentedLru, 4), 6);
    }

    private static Trace Made(params ImmutableArray<ulong>[] prompts) =>
        new("made", 512, [.. prompts.Select((blocks, i) => new TraceRequest(i, blocks.Length * 512, 1, blocks))]);
}
