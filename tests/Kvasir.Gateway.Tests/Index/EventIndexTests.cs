using System.Collections.Immutable;
using CsCheck;
using Kvasir.Gateway.Index;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Gateway.Tests.Index;

public sealed class EventIndexTests
{
    private const int BlockSize = 4;

    private static BlocksStored Stored(ulong firstKey, int[] tokens, ulong? parent = null, KvTier tier = KvTier.Device, string? adapter = null) => new()
    {
        Blocks = [.. Enumerable.Range(0, (tokens.Length + BlockSize - 1) / BlockSize).Select(i => BlockKey.FromInteger(firstKey + (ulong)i))],
        Parent = parent is { } key ? BlockKey.FromInteger(key) : null,
        Tokens = [.. tokens],
        BlockSize = BlockSize,
        Tier = tier,
        Adapter = adapter,
    };

    private static BlocksRemoved Removed(KvTier tier, params ulong[] keys) =>
        new() { Blocks = [.. keys.Select(BlockKey.FromInteger)], Tier = tier };

    private static int Match(EventIndex index, int worker, KvTier tier, int[] prompt)
    {
        Span<ulong> chain = new ulong[prompt.Length / BlockSize];
        index.Name(prompt, chain);
        Span<int> lengths = new int[128];
        index.Match(chain, lengths);
        return lengths[index.HolderOf(worker, tier)];
    }

    private static int[] Tokens(int count, int first = 100) => [.. Enumerable.Range(first, count)];

    [Fact]
    public void A_prompt_matches_what_its_worker_stored_and_no_more()
    {
        var index = new EventIndex(BlockSize, workers: 2);
        index.Apply(0, Stored(1, Tokens(12)));
        index.Apply(1, Stored(900, Tokens(4)));
        Assert.Equal(3, Match(index, 0, KvTier.Device, Tokens(40)));
        Assert.Equal(1, Match(index, 1, KvTier.Device, Tokens(40)));
        Assert.Equal(0, Match(index, 0, KvTier.Device, Tokens(40, first: 101)));
        Assert.Equal(3, index.Blocks);
    }

    [Fact]
    public void A_prefix_goes_on_in_slower_tiers()
    {
        var index = new EventIndex(BlockSize, workers: 20);
        for (var worker = 0; worker < 20; worker += 19)
        {
            index.Apply(worker, Stored(1, Tokens(16)));
            index.Apply(worker, Stored(3, Tokens(8, first: 108), parent: 2) with { Tier = KvTier.Host });
            index.Apply(worker, Removed(KvTier.Device, 3, 4));
            Assert.Equal([2, 4, 4, 4], Enum.GetValues<KvTier>().Select(tier => Match(index, worker, tier, Tokens(40))));
            index.Apply(worker, Stored(4, Tokens(4, first: 112), parent: 3) with { Tier = KvTier.Disk });
            index.Apply(worker, Removed(KvTier.Host, 4));
            Assert.Equal([2, 3, 4, 4], Enum.GetValues<KvTier>().Select(tier => Match(index, worker, tier, Tokens(40))));
            index.Apply(worker, Removed(KvTier.Host, 3));
            Assert.Equal([2, 2, 2, 2], Enum.GetValues<KvTier>().Select(tier => Match(index, worker, tier, Tokens(40))));
        }
        Assert.Equal(0, Match(index, 1, KvTier.Remote, Tokens(40)));
    }

    [Fact]
    public void A_gap_ends_the_match_until_it_is_filled()
    {
        var index = new EventIndex(BlockSize, workers: 1);
        index.Apply(0, Stored(1, Tokens(16)));
        index.Apply(0, Removed(KvTier.Device, 2));
        Assert.Equal(1, Match(index, 0, KvTier.Device, Tokens(16)));
        index.Apply(0, Stored(2, Tokens(4, first: 104), parent: 1));
        Assert.Equal(4, Match(index, 0, KvTier.Device, Tokens(16)));
    }

    [Fact]
    public void A_block_stays_until_its_last_copy_is_removed()
    {
        var index = new EventIndex(BlockSize, workers: 1);
        index.Apply(0, Stored(1, Tokens(4)));
        index.Apply(0, Stored(1, Tokens(4)));
        index.Apply(0, Removed(KvTier.Device, 1));
        Assert.Equal(1, Match(index, 0, KvTier.Device, Tokens(4)));
        index.Apply(0, Removed(KvTier.Device, 1));
        index.Apply(0, Removed(KvTier.Device, 1));
        Assert.Equal(0, Match(index, 0, KvTier.Device, Tokens(4)));
        Assert.Equal(0, index.Blocks);
    }

    [Fact]
    public void A_key_that_names_another_block_no_longer_names_the_first()
    {
        var index = new EventIndex(BlockSize, workers: 1);
        index.Apply(0, Stored(1, Tokens(4)));
        index.Apply(0, Stored(1, Tokens(4, first: 500)));
        Assert.Equal((0, 1), (Match(index, 0, KvTier.Device, Tokens(4)), Match(index, 0, KvTier.Device, Tokens(4, first: 500))));
        Assert.Equal(1, index.Blocks);
    }

    [Fact]
    public void A_copy_in_host_memory_may_come_without_tokens()
    {
        var index = new EventIndex(BlockSize, workers: 1);
        index.Apply(0, Stored(1, Tokens(8)));
        index.Apply(0, new BlocksStored { Blocks = [BlockKey.FromInteger(1), BlockKey.FromInteger(2)], BlockSize = BlockSize, Tier = KvTier.Host });
        index.Apply(0, Removed(KvTier.Device, 2, 1));
        Assert.Equal(0, Match(index, 0, KvTier.Device, Tokens(8)));
        Assert.Equal(2, Match(index, 0, KvTier.Host, Tokens(8)));
    }

    [Fact]
    public void An_unknown_parent_never_credits_a_worker()
    {
        var index = new EventIndex(BlockSize, workers: 1);
        index.Apply(0, Stored(5, Tokens(4), parent: 77));
        Assert.Equal(0, Match(index, 0, KvTier.Device, Tokens(4)));
        Assert.Equal(1, index.Orphans);
    }

    [Fact]
    public void A_short_last_page_and_a_foreign_block_size_are_not_blocks()
    {
        var index = new EventIndex(BlockSize, workers: 1);
        index.Apply(0, Stored(1, Tokens(6)));
        Assert.Equal(1, Match(index, 0, KvTier.Device, Tokens(8)));
        index.Apply(0, Stored(50, Tokens(8, first: 500)) with { BlockSize = 8 });
        Assert.Equal(1, index.Blocks);
    }

    [Fact]
    public void Adapters_keep_equal_tokens_apart()
    {
        var index = new EventIndex(BlockSize, workers: 1);
        index.Apply(0, Stored(1, Tokens(4), adapter: "sql"));
        Assert.Equal(0, Match(index, 0, KvTier.Device, Tokens(4)));
    }

    [Fact]
    public void A_cleared_worker_leaves_the_others_alone()
    {
        var index = new EventIndex(BlockSize, workers: 2);
        index.Apply(0, Stored(1, Tokens(8)));
        index.Apply(1, Stored(1, Tokens(8)));
        index.Apply(0, new AllBlocksCleared());
        Assert.Equal(0, Match(index, 0, KvTier.Device, Tokens(8)));
        Assert.Equal(2, Match(index, 1, KvTier.Device, Tokens(8)));
        index.Clear(1);
        Assert.Equal(0, index.Blocks);
    }

    /// <summary>Random stores, removals and clears of many workers against a plain dictionary of sets.</summary>
    [Fact]
    public void The_index_agrees_with_a_plain_model()
    {
        var step = Gen.Select(Gen.Int[0, 9], Gen.Int[0, 39], Gen.Int[0, 6], Gen.Int[0, 19]);
        step.Array[0, 400].Sample(steps =>
        {
            var index = new EventIndex(BlockSize, workers: 40);
            var model = new Dictionary<(int Worker, int Sequence, int Depth), int>();
            foreach (var (action, worker, depth, sequence) in steps)
            {
                var key = (ulong)(sequence * 100 + depth + 1);
                if (action < 6)
                {
                    var parentHeld = depth == 0 || model.ContainsKey((worker, sequence, depth - 1));
                    index.Apply(worker, Stored(key, Tokens(BlockSize, sequence * 1000 + depth * BlockSize), depth == 0 ? null : key - 1));
                    if (parentHeld) model[(worker, sequence, depth)] = model.GetValueOrDefault((worker, sequence, depth)) + 1;
                }
                else if (action < 9)
                {
                    index.Apply(worker, Removed(KvTier.Device, key));
                    var held = (worker, sequence, depth);
                    if (model.TryGetValue(held, out var copies))
                        if (copies == 1) model.Remove(held); else model[held] = copies - 1;
                }
                else
                {
                    index.Clear(worker);
                    foreach (var held in model.Keys.Where(held => held.Worker == worker).ToArray()) model.Remove(held);
                }
            }
            Assert.Equal(model.Keys.Select(held => (held.Sequence, held.Depth)).Distinct().Count(), index.Blocks);
            CheckAgainst(index, model.Keys.ToImmutableHashSet());
        }, iter: 200);
    }

    private static void CheckAgainst(EventIndex index, ImmutableHashSet<(int Worker, int Sequence, int Depth)> held)
    {
        Span<ulong> chain = new ulong[7];
        Span<int> lengths = new int[40 * 4];
        for (var sequence = 0; sequence < 20; sequence++)
        {
            index.Name(Tokens(7 * BlockSize, sequence * 1000), chain);
            index.Match(chain, lengths);
            for (var worker = 0; worker < 40; worker++)
            {
                var expected = 0;
                while (expected < 7 && held.Contains((worker, sequence, expected))) expected++;
                Assert.Equal(expected, lengths[index.HolderOf(worker, KvTier.Device)]);
            }
        }
    }
}
