using CsCheck;
using Kvasir.Engine.KvCache;

namespace Kvasir.Engine.Tests.KvCache;

public sealed class RetentionEvictionTests
{
    private readonly HandClock _clock = new();

    [Fact]
    public void Higher_priorities_outlive_lower_ones_and_the_normal_ones_are_between()
    {
        var policy = Policy(5);
        Leave(policy, (0, 90), (1, 10), (2, null), (3, 20), (4, 60));
        Assert.Equal([1, 3, 2, 4, 0, -1], Enumerable.Range(0, 6).Select(_ => policy.Evict()));
    }

    [Fact]
    public void A_hint_ends_and_its_blocks_are_normal_again()
    {
        var policy = Policy(3);
        Leave(policy, (0, 90), (1, null), (2, 0));
        _clock.Advance(100);
        Leave(policy);
        Assert.Equal([1, 2, 0], new[] { policy.Evict(), policy.Evict(), policy.Evict() });
    }

    [Fact]
    public void A_request_without_a_hint_makes_normal_what_another_did_not_want_and_takes_nothing_from_what_another_wanted()
    {
        var policy = Policy(3);
        Leave(policy, (0, 10), (1, 90), (2, null));
        foreach (var block in (int[])[0, 1]) policy.Reuse(block);
        Leave(policy, (0, null), (1, null));
        Assert.Equal([2, 0, 1], new[] { policy.Evict(), policy.Evict(), policy.Evict() });
    }

    [Fact]
    public void What_was_normal_is_not_made_less_by_one_who_wants_it_less()
    {
        var policy = Policy(2);
        Leave(policy, (0, null), (1, null));
        policy.Reuse(0);
        Leave(policy, (0, 0));
        Assert.Equal([1, 0], new[] { policy.Evict(), policy.Evict() });
    }

    [Theory]
    [InlineData(EvictionKind.Lru)]
    [InlineData(EvictionKind.SegmentedLru)]
    [InlineData(EvictionKind.Arc)]
    public void Whatever_is_done_everything_idle_can_be_evicted_once(EvictionKind kind) =>
        Gen.Select(Gen.Int[0, 4], Gen.Int[0, 7], Gen.Int[0, 100]).Array[0, 80].Sample(steps =>
        {
            var policy = new RetentionEviction(EvictionPolicies.Create(kind, 8), 8, _clock);
            var idle = new HashSet<int>();
            foreach (var (what, block, number) in steps)
            {
                if (what == 0 && idle.Remove(block)) policy.Reuse(block);
                else if (what == 1 && idle.Remove(block)) policy.Drop(block);
                else if (what == 2 && policy.Evict() is >= 0 and var evicted) Assert.True(idle.Remove(evicted));
                else if (what == 3) _clock.Advance(number);
                else if (what == 4 && idle.Add(block))
                {
                    policy.Retain(block, number % 3 == 0 ? null : new KvRetention(number, TimeSpan.FromSeconds(number)));
                    policy.Add(block, (UInt128)number);
                }
                Assert.Equal(idle.Count, policy.Count);
            }
            while (policy.Evict() is >= 0 and var block) Assert.True(idle.Remove(block));
            Assert.Empty(idle);
        }, iter: 3000, threads: 1);

    private RetentionEviction Policy(int blocks) => new(new LruEviction(blocks), blocks, _clock);

    private static void Leave(RetentionEviction policy, params (int Block, int? Priority)[] blocks)
    {
        foreach (var (block, priority) in blocks)
        {
            policy.Retain(block, priority is { } hint ? new KvRetention(hint, TimeSpan.FromSeconds(50)) : null);
            policy.Add(block, (UInt128)(block + 1));
        }
    }

    /// <summary>A clock that moves by hand.</summary>
    private sealed class HandClock : TimeProvider
    {
        private long _now = 5;

        public override long TimestampFrequency => 1;

        public override long GetTimestamp() => _now;

        public void Advance(int seconds) => _now += seconds;
    }
}
