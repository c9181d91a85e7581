using CsCheck;
using Kvasir.Engine.KvCache;

namespace Kvasir.Engine.Tests.KvCache;

public sealed class TenantEvictionTests
{
    [Fact]
    public void Who_has_more_than_the_share_gives_way_first_the_oldest_before_the_newer()
    {
        var policy = Filled(8, 0.5, 1, 2, 2, 2, 2, 2, 3);
        Assert.Equal(1, policy.Evict());
        Assert.Equal([0, 2, 3], new[] { policy.Evict(), policy.Evict(), policy.Evict() });
    }

    [Fact]
    public void Alone_the_policy_decides()
    {
        var policy = Filled(4, 0.25, 7, 7, 7, 7);
        policy.Reuse(0);
        policy.Add(0, 1);
        Assert.Equal([1, 2, 3, 0, -1], Enumerable.Range(0, 5).Select(_ => policy.Evict()));
    }

    [Theory]
    [InlineData(EvictionKind.Lru)]
    [InlineData(EvictionKind.SegmentedLru)]
    [InlineData(EvictionKind.Arc)]
    public void Whatever_is_done_everything_idle_can_be_evicted_once_and_nobody_below_the_share_gives_way_to_one_above(EvictionKind kind) =>
        Gen.Select(Gen.Int[0, 3], Gen.Int[0, 15], Gen.ULong[0, 3]).Array[0, 120].Sample(steps =>
        {
            const int Share = 4;
            var policy = new TenantEviction(new RetentionEviction(EvictionPolicies.Create(kind, 16), 16, TimeProvider.System), 16, 0.25);
            var idle = new Dictionary<int, ulong>();
            foreach (var (what, block, tenant) in steps)
            {
                if (what == 0 && idle.Remove(block)) policy.Reuse(block);
                else if (what == 1 && idle.Remove(block)) policy.Drop(block);
                else if (what == 2)
                {
                    var above = idle.GroupBy(entry => entry.Value).Where(owned => owned.Count() > Share && owned.Count() < idle.Count).Select(owned => owned.Key).ToArray();
                    if (policy.Evict() is not (>= 0 and var evicted)) continue;
                    if (above.Length > 0) Assert.Contains(idle[evicted], above);
                    Assert.True(idle.Remove(evicted));
                }
                else if (what == 3 && !idle.ContainsKey(block))
                {
                    policy.Own(block, tenant);
                    policy.Add(block, (UInt128)(block + 1));
                    idle.Add(block, tenant);
                    Assert.Equal(tenant, policy.OwnerOf(block));
                }
                Assert.Equal(idle.Count, policy.Count);
            }
            while (policy.Evict() is >= 0 and var block) Assert.True(idle.Remove(block));
            Assert.Empty(idle);
        }, iter: 3000, threads: 1);

    private static TenantEviction Filled(int blocks, double share, params ulong[] owners)
    {
        var policy = new TenantEviction(new LruEviction(blocks), blocks, share);
        for (var block = 0; block < owners.Length; block++)
        {
            policy.Own(block, owners[block]);
            policy.Add(block, (UInt128)(block + 1));
        }
        return policy;
    }
}
