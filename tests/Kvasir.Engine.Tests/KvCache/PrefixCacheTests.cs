using CsCheck;
using Kvasir.Engine.KvCache;

namespace Kvasir.Engine.Tests.KvCache;

public sealed class PrefixCacheTests
{
    [Fact]
    public void A_prompt_that_was_computed_is_found_up_to_its_last_token()
    {
        using var cache = new TestCache(8);
        var tokens = Tokens(40);
        cache.Run(tokens);
        // The last token is computed in any case: its logits are wanted.
        Assert.Equal(39, cache.Place(tokens).Cached);
    }

    [Fact]
    public void A_prompt_that_parts_within_a_block_keeps_what_agrees()
    {
        using var cache = new TestCache(8);
        cache.Run(Tokens(48));
        int[] other = [.. Tokens(21), 900, 901, 902];
        Assert.Equal(21, cache.Place(other).Cached);
        Assert.Equal(1, cache.Copies);
    }

    [Fact]
    public void Sequences_that_run_share_their_blocks()
    {
        using var cache = new TestCache(16);
        var first = cache.Place(Tokens(64));
        cache.Compute(first, 64);
        var second = cache.Place([.. Tokens(64), 7]);
        Assert.Equal(64, second.Cached);
        Assert.Equal(first.Table.Blocks(0)[..4].ToArray(), second.Table.Blocks(0)[..4].ToArray());
        Assert.Equal(16 - 6, cache.Pool.Free);
    }

    [Fact]
    public void A_prompt_that_another_computes_is_awaited_and_then_found()
    {
        using var cache = new TestCache(16);
        var first = cache.Place(Tokens(64));
        cache.Compute(first, 20);
        Assert.Equal(Placement.Awaits, cache.TryPlace(Tokens(50), out _));
        cache.Compute(first, 64);
        Assert.Equal(49, cache.Place(Tokens(50)).Cached);
    }

    [Fact]
    public void Nobody_waits_for_a_sequence_that_left()
    {
        using var cache = new TestCache(16);
        var first = cache.Place(Tokens(64));
        cache.Compute(first, 20);
        cache.Release(first);
        Assert.Equal(20, cache.Place(Tokens(50)).Cached);
    }

    [Fact]
    public void Blocks_that_fill_with_the_same_tokens_become_one()
    {
        using var cache = new TestCache(16);
        // The two agree only once both have generated the same text.
        var first = cache.Place(Tokens(10));
        var second = cache.Place(Tokens(10));
        cache.Compute(first, 10);
        cache.Compute(second, 10);
        foreach (var sequence in (TestSequence[])[first, second]) cache.Generate(sequence, Tokens(32)[10..]);
        Assert.Equal(first.Table.Blocks(0)[..2].ToArray(), second.Table.Blocks(0)[..2].ToArray());
        Assert.Equal(16 - 2, cache.Pool.Free);
    }

    [Fact]
    public void The_end_of_a_text_is_evicted_before_its_start()
    {
        using var cache = new TestCache(4);
        cache.Run(Tokens(63));
        cache.Run([1001, 1002, 1003]);
        Assert.Equal(48, cache.Place(Tokens(63)).Cached);
    }

    [Fact]
    public void Other_salts_share_nothing()
    {
        using var cache = new TestCache(16);
        cache.Run(Tokens(48));
        Assert.Equal(Placement.Placed, cache.TryPlace(Tokens(48), out var other, root: 16));
        Assert.Equal(0, other!.Cached);
    }

    [Fact]
    public void What_does_not_fit_leaves_everything_as_it_was()
    {
        using var cache = new TestCache(4);
        cache.Run(Tokens(40));
        Assert.Equal(Placement.NoRoom, cache.TryPlace([.. Tokens(40), .. Tokens(40)], out _));
        Assert.Equal(4, cache.Pool.Free);
        Assert.Equal(39, cache.Place(Tokens(40)).Cached);
    }

    [Fact]
    public void Clearing_forgets_all_but_what_runs()
    {
        using var cache = new TestCache(8);
        cache.Run(Tokens(40));
        var running = cache.Place([500, 501, 502]);
        Assert.Equal(3, cache.Cache.Clear());
        Assert.Equal(0, cache.Place(Tokens(40)).Cached);
        Assert.Equal(1, running.Table.Held);
    }

    /// <summary>Keys and values of a token depend on all tokens before it: so does what the test writes in its slot.</summary>
    [Theory]
    [InlineData(EvictionKind.Lru, 0)]
    [InlineData(EvictionKind.SegmentedLru, 0)]
    [InlineData(EvictionKind.Arc, 0)]
    [InlineData(EvictionKind.Arc, 3)]
    [InlineData(EvictionKind.Lru, 20)]
    public void Whatever_happens_a_block_holds_what_its_sequence_would_have_computed(EvictionKind kind, int hostBlocks) =>
        Gen.Select(Gen.Int[0, 9], Gen.Int[0, 1000], Gen.Int[1, 70]).Array[0, 120].Sample(steps =>
        {
            using var cache = new TestCache(12, kind, hostBlocks);
            var running = new List<TestSequence>();
            foreach (var (action, pick, length) in steps)
            {
                var chosen = running.Count > 0 ? running[pick % running.Count] : null;
                if (action < 4)
                {
                    if (cache.TryPlace(Family(pick, length), out var placed, root: (UInt128)(pick % 2)) == Placement.Placed) running.Add(placed!);
                }
                else if (action < 6 && chosen is not null) cache.Compute(chosen, Math.Min(chosen.Tokens.Count, chosen.Computed + length));
                else if (action < 8 && chosen is not null && chosen.Computed == chosen.Tokens.Count) cache.Generate(chosen, [pick % 3]);
                else if (chosen is not null)
                {
                    cache.Release(chosen);
                    running.Remove(chosen);
                }
                cache.Pool.CheckIntegrity();
            }
            foreach (var sequence in running) cache.Release(sequence);
            Assert.Equal(12, cache.Pool.Free);
        }, iter: 2000);

    [Theory]
    [InlineData(EvictionKind.Lru)]
    [InlineData(EvictionKind.SegmentedLru)]
    [InlineData(EvictionKind.Arc)]
    public void Its_books_take_no_more_than_planned(EvictionKind kind)
    {
        const int Blocks = 100_000;
        new TestCache(10, kind).Dispose();
        var before = GC.GetAllocatedBytesForCurrentThread();
        var pool = new BlockPool(Blocks, EvictionPolicies.Create(kind, Blocks));
        var cache = new PrefixCache(pool, KvGroups.One(), static (_, _) => { });
        var table = new BlockTable(pool, KvGroups.One());
        var setUp = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(0, table.Held);
        Assert.Equal(0, cache.Clear());
        Assert.InRange(setUp, 0.8 * PrefixCache.BytesPerBlock(kind) * Blocks, PrefixCache.BytesPerBlock(kind) * Blocks);
    }

    private static int[] Tokens(int count) => [.. Enumerable.Range(0, count).Select(i => i * 7 % 101)];

    /// <summary>Prompts of a few families that part at several places.</summary>
    private static int[] Family(int pick, int length) =>
        [.. Enumerable.Range(0, length).Select(i => i < 20 + pick % 3 * 9 ? i : i + pick % 5)];
}
