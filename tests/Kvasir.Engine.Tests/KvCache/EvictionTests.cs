using CsCheck;
using Kvasir.Engine.KvCache;

namespace Kvasir.Engine.Tests.KvCache;

public sealed class EvictionTests
{
    public static TheoryData<EvictionKind> Kinds => [.. Enum.GetValues<EvictionKind>()];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_idle_block_is_evicted_exactly_once(EvictionKind kind)
    {
        var policy = EvictionPolicies.Create(kind, 8);
        for (var block = 0; block < 8; block++) policy.Add(block, (UInt128)(block + 1));
        policy.Reuse(3);
        policy.Drop(5);
        var evicted = Enumerable.Range(0, 6).Select(_ => policy.Evict()).Order();
        Assert.Equal([0, 1, 2, 4, 6, 7], evicted);
        Assert.Equal((-1, 0), (policy.Evict(), policy.Count));
    }

    [Fact]
    public void Lru_gives_up_what_lay_idle_longest()
    {
        var policy = new LruEviction(4);
        foreach (var block in (int[])[2, 0, 3, 1]) policy.Add(block, default);
        policy.Reuse(0);
        policy.Add(0, default);
        Assert.Equal([2, 3, 1, 0], Enumerable.Range(0, 4).Select(_ => policy.Evict()));
    }

    [Theory]
    [InlineData(EvictionKind.SegmentedLru)]
    [InlineData(EvictionKind.Arc)]
    public void A_flood_that_never_returns_spares_what_was_asked_for_again(EvictionKind kind)
    {
        var policy = EvictionPolicies.Create(kind, 8);
        policy.Add(0, 1);
        policy.Reuse(0);
        policy.Add(0, 1);
        for (var flood = 0; flood < 100; flood++)
        {
            policy.Add(1 + flood % 2, (UInt128)(100 + flood));
            if (policy.Count > 2) Assert.NotEqual(0, policy.Evict());
        }
    }

    [Fact]
    public void Arc_protects_a_name_that_comes_back_after_its_eviction()
    {
        var policy = new ArcEviction(4);
        policy.Add(0, 77);
        Assert.Equal(0, policy.Evict());
        policy.Add(1, 77);
        policy.Add(2, 88);
        policy.Add(3, 99);
        // The list of blocks seen once was made longer by the return of 77, and by no more than one.
        Assert.Equal(2, policy.Evict());
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Any_order_of_events_keeps_the_count(EvictionKind kind) =>
        Gen.Select(Gen.Int[0, 3], Gen.Int[0, 9]).Array[0, 200].Sample(steps =>
        {
            var policy = EvictionPolicies.Create(kind, 10);
            var idle = new HashSet<int>();
            foreach (var (action, block) in steps)
            {
                if (action == 0 && idle.Add(block)) policy.Add(block, (UInt128)(block % 5));
                else if (action == 1) { policy.Reuse(block); idle.Remove(block); }
                else if (action == 2 && idle.Remove(block)) policy.Drop(block);
                else if (action == 3) Assert.Equal(idle.Count > 0, idle.Remove(policy.Evict()));
                Assert.Equal(idle.Count, policy.Count);
            }
        }, iter: 300);
}
