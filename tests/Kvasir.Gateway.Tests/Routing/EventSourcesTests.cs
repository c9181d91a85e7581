using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Requests;
using Kvasir.Gateway.Routing;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Gateway.Tests.Routing;

/// <summary>Ranks, groups, block sizes and the bound on memory, as a worker's events reach the indexes.</summary>
public sealed class EventSourcesTests
{
    private readonly Worker worker = new(0, WorkerAddress.Parse("vllm=http://worker.test:8000"), TimeProvider.System);

    [Fact]
    public void A_rank_that_the_batch_names_counts_more_than_the_port_it_came_from()
    {
        using var sources = new EventSources(1, TimeProvider.System);
        // Both ranks use one key for unlike blocks; what the second removes is its own.
        sources.Apply(worker, 0, Batch(Stored(1, 4, Tokens(4))));
        sources.Apply(worker, 1, Batch(Stored(1, 4, Tokens(4, 500))));
        sources.Apply(worker, 1, Batch(new BlocksRemoved { Blocks = [BlockKey.FromInteger(1)] }));
        Assert.Equal((4, 0), (Held(sources, Tokens(4)), Held(sources, Tokens(4, 500))));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Of_groups_with_unlike_block_sizes_the_first_says_how_far_a_prefix_reaches(bool firstComesLast)
    {
        using var sources = new EventSources(1, TimeProvider.System);
        KvEvent[] stored = [Stored(1, 4, Tokens(8)), Stored(1, 8, Tokens(16)) with { Group = 1 }];
        sources.Apply(worker, 0, Batch(firstComesLast ? [stored[1], stored[0]] : stored));
        Assert.Equal(8, Held(sources, Tokens(16)));
        sources.Apply(worker, 0, Batch(new BlocksRemoved { Blocks = [BlockKey.FromInteger(1), BlockKey.FromInteger(2)], Group = 1 }));
        Assert.Equal(8, Held(sources, Tokens(16)));
        sources.Apply(worker, 0, Batch(new BlocksRemoved { Blocks = [BlockKey.FromInteger(1)] }));
        Assert.Equal(0, Held(sources, Tokens(16)));
    }

    [Fact]
    public void A_clear_in_the_midst_of_a_batch_leaves_what_comes_after_it()
    {
        using var sources = new EventSources(1, TimeProvider.System);
        sources.Apply(worker, 0, Batch(Stored(1, 4, Tokens(8)), new AllBlocksCleared(), Stored(7, 4, Tokens(4, 500))));
        Assert.Equal((0, 4), (Held(sources, Tokens(8)), Held(sources, Tokens(4, 500))));
    }

    [Fact]
    public void What_is_removed_before_it_is_stored_or_stored_twice_keeps_counts_right()
    {
        using var sources = new EventSources(1, TimeProvider.System);
        var removed = new BlocksRemoved { Blocks = [BlockKey.FromInteger(1)] };
        sources.Apply(worker, 0, Batch(removed, Stored(1, 4, Tokens(4)), Stored(1, 4, Tokens(4)), removed));
        Assert.Equal(4, Held(sources, Tokens(4)));
        sources.Apply(worker, 0, Batch(removed, removed));
        Assert.Equal(0, Held(sources, Tokens(4)));
    }

    [Fact]
    public void Beyond_its_bytes_the_index_remembers_nothing_new_until_something_goes()
    {
        const int most = 1 << 20;
        using var sources = new EventSources(1, TimeProvider.System) { MostBytes = most };
        for (var i = 0; i < 40_000; i++) sources.Apply(worker, 0, Batch(Stored((ulong)(i + 1) * 0x9E37_79B9_7F4A_7C15, 4, Tokens(4, i * 4))));
        // A thousand blocks between two measurements, and one step of growth, by half, of tables that double as they go.
        Assert.InRange(sources.Bytes, most, 2 * most);
        Assert.True(sources.Unremembered > 0);
        Assert.Equal((4, 0), (Held(sources, Tokens(4)), Held(sources, Tokens(4, 39_999 * 4))));
        for (var i = 0; i < 2_000; i++) sources.Apply(worker, 0, Batch(new BlocksRemoved { Blocks = [BlockKey.FromInteger((ulong)(i + 1) * 0x9E37_79B9_7F4A_7C15)] }));
        var before = sources.Blocks;
        for (var i = 0; i < 500; i++) sources.Apply(worker, 0, Batch(Stored((ulong)(i + 50_001) * 0x9E37_79B9_7F4A_7C15, 4, Tokens(4, (i + 50_001) * 4))));
        Assert.True(sources.Blocks > before, "Room that was given back should be used.");
        Assert.Equal(0, Held(sources, Tokens(4)));
    }

    [Fact]
    public void A_block_that_two_ranks_hold_stays_until_both_let_go_of_it()
    {
        using var sources = new EventSources(1, TimeProvider.System);
        sources.Apply(worker, 0, Batch(Stored(1, 4, Tokens(8))));
        sources.Apply(worker, 1, Batch(Stored(70, 4, Tokens(8))));
        sources.Apply(worker, 0, Batch(Removed(0, 1, 2)));
        Assert.Equal(8, Held(sources, Tokens(8)));
        sources.Apply(worker, 1, Batch(Removed(0, 71)));
        Assert.Equal(4, Held(sources, Tokens(8)));
        sources.Apply(worker, 1, Batch(Removed(0, 70)));
        Assert.Equal((0, 0L), (Held(sources, Tokens(8)), sources.Blocks));
    }

    [Fact]
    public void A_rank_that_clears_its_cache_leaves_the_other_ranks_alone()
    {
        using var sources = new EventSources(1, TimeProvider.System);
        sources.Apply(worker, 0, Batch(Stored(1, 4, Tokens(8))));
        sources.Apply(worker, 1, Batch(Stored(1, 4, Tokens(8)), Stored(5, 4, Tokens(8, 500))));
        sources.Apply(worker, 1, Batch(new AllBlocksCleared()));
        Assert.Equal((8, 0), (Held(sources, Tokens(8)), Held(sources, Tokens(8, 500))));
        sources.Apply(worker, 0, Batch(new AllBlocksCleared()));
        Assert.Equal(0, sources.Blocks);
    }

    [Fact]
    public void Of_groups_with_equal_blocks_the_one_that_keeps_whole_texts_says_how_far_a_prefix_reaches()
    {
        using var sources = new EventSources(1, TimeProvider.System);
        // The window's group comes first, by number and in time, and lets go of what its window has passed.
        sources.Apply(worker, 0, Batch(Stored(1, 4, Tokens(12)) with { IsPartial = true }, Stored(1, 4, Tokens(12)) with { Group = 1 }));
        sources.Apply(worker, 0, Batch(Removed(0, 1, 2)));
        Assert.Equal(12, Held(sources, Tokens(12)));
        sources.Apply(worker, 0, Batch(Removed(1, 3)));
        Assert.Equal(8, Held(sources, Tokens(12)));
    }

    [Fact]
    public void A_move_to_a_slower_tier_without_tokens_or_block_size_changes_no_block_size()
    {
        using var sources = new EventSources(1, TimeProvider.System);
        sources.Apply(worker, 0, Batch(Stored(1, 4, Tokens(8)), new BlocksStored { Blocks = [BlockKey.FromInteger(1)], BlockSize = 0, Tier = KvTier.Host },
            new BlocksStored { Blocks = [BlockKey.FromInteger(2)], BlockSize = 64, Tier = KvTier.Host }));
        Assert.Equal(8, Held(sources, Tokens(8)));
        sources.Apply(worker, 0, Batch(Removed(0, 1, 2)));
        var (device, slower) = (new double[1], new double[1]);
        sources.Predict(PromptTokens.Of([.. Tokens(8), 0]), [], 1 << 20, device, slower);
        Assert.Equal((0, 8), (device[0], slower[0]));
    }

    [Fact]
    public void A_worker_that_comes_back_with_blocks_of_another_size_is_known_by_those_alone()
    {
        using var sources = new EventSources(1, TimeProvider.System);
        sources.Apply(worker, 0, Batch(Stored(1, 4, Tokens(16))));
        sources.Apply(worker, 0, Batch(Stored(1, 8, Tokens(8))));
        Assert.Equal((8, 1L), (Held(sources, Tokens(16)), sources.Blocks));
    }

    [Fact]
    public void Equal_tokens_under_salts_and_adapters_are_found_by_who_asks_for_them_alone()
    {
        using var sources = new EventSources(1, TimeProvider.System);
        sources.Apply(worker, 0, Batch(Stored(1, 4, Tokens(4)), Stored(10, 4, Tokens(8)) with { ExtraKeys = ["salt", null] }, Stored(20, 4, Tokens(12)) with { Adapter = "sql" }));
        Assert.Equal((4, 8, 12), (Held(sources, Tokens(12)), Held(sources, Tokens(12), salt: "salt"), Held(sources, Tokens(12), model: "sql")));
        Assert.Equal((0, 0, 4), (Held(sources, Tokens(12), salt: "other"), Held(sources, Tokens(12), "sql", "salt"), Held(sources, Tokens(12), model: "base")));
    }

    [Fact]
    public void Kvasirs_own_salts_are_known_by_the_name_that_stands_for_them()
    {
        using var sources = new EventSources(2, TimeProvider.System);
        var own = new Worker(1, WorkerAddress.Parse("kvasir=http://worker.test:8001"), TimeProvider.System);
        sources.Apply(worker, 0, Batch(Stored(1, 4, Tokens(4)) with { ExtraKeys = ["salt"] }));
        sources.Apply(own, 0, Batch(Stored(1, 4, Tokens(8)) with { ExtraKeys = [own.Adapter.SaltInEvents("salt"), null] }));
        var (device, slower) = (new double[2], new double[2]);
        sources.Predict(PromptTokens.Of([.. Tokens(8), 0]).For(null, "salt"), [], 1 << 20, device, slower);
        Assert.Equal([4, 8], device);
    }

    [Fact]
    public void Images_in_the_midst_of_a_text_end_what_is_known_of_it()
    {
        using var sources = new EventSources(1, TimeProvider.System);
        sources.Apply(worker, 0, Batch(Stored(1, 4, Tokens(12)) with { ExtraKeys = [null, "image", null] }));
        Assert.Equal(4, Held(sources, Tokens(12)));
    }

    [Theory]
    [InlineData(8)]
    [InlineData(2)]
    public void Events_with_more_or_fewer_tokens_than_their_blocks_are_not_believed(int told)
    {
        using var sources = new EventSources(1, TimeProvider.System);
        sources.Apply(worker, 0, Batch(Stored(1, 4, Tokens(16)) with { BlockSize = told }));
        Assert.Equal((0, false, TrustDoubt.EventsLost), (Held(sources, Tokens(16)), sources.Knows(worker), worker.Trust.Doubt));
    }

    [Fact]
    public void Short_pages_that_end_no_full_ones_are_of_another_size()
    {
        using var sources = new EventSources(1, TimeProvider.System);
        for (ulong page = 0; page < 3; page++) sources.Apply(worker, 0, Batch(Page(page + 1, page, 2)));
        Assert.Equal((false, TrustDoubt.None), (sources.Knows(worker), worker.Trust.Doubt));
        sources.Apply(worker, 0, Batch(Page(4, 3, 2)));
        Assert.Equal((false, TrustDoubt.EventsLost), (sources.Knows(worker), worker.Trust.Doubt));
        worker.Trust.Reset();
        sources.Apply(worker, 0, Batch(Stored(10, 4, Tokens(4))));
        for (ulong page = 20; page < 30; page++) sources.Apply(worker, 0, Batch(Page(page, 10, 2)));
        Assert.Equal((4, TrustDoubt.None), (Held(sources, Tokens(8)), worker.Trust.Doubt));
    }

    private static BlocksStored Page(ulong key, ulong parent, int tokens) => new() { Blocks = [BlockKey.FromInteger(key)], Parent = BlockKey.FromInteger(parent), Tokens = [.. Tokens(tokens)], BlockSize = 4 };

    private static KvEventBatch Batch(params KvEvent[] events) => new(1, [.. events]);

    private static BlocksStored Stored(ulong firstKey, int blockSize, int[] tokens) => new()
    {
        Blocks = [.. Enumerable.Range(0, tokens.Length / blockSize).Select(i => BlockKey.FromInteger(firstKey + (ulong)i))],
        Tokens = [.. tokens],
        BlockSize = blockSize,
    };

    private static int[] Tokens(int count, int first = 100) => [.. Enumerable.Range(first, count)];

    private static BlocksRemoved Removed(int group, params ulong[] keys) => new() { Blocks = [.. keys.Select(BlockKey.FromInteger)], Group = group };

    private static double Held(EventSources sources, int[] prompt, string? model = null, string? salt = null)
    {
        var (device, slower) = (new double[1], new double[1]);
        // One token more: the last is always computed.
        sources.Predict(PromptTokens.Of([.. prompt, 0]).For(model, salt), [], 1 << 20, device, slower);
        return device[0];
    }
}
