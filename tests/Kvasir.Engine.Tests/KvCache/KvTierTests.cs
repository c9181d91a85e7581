using CsCheck;
using Kvasir.Engine.Inspection;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Engine.Tests.Serving;
using Kvasir.Synthesis;

namespace Kvasir.Engine.Tests.KvCache;

public sealed class KvTierTests : IDisposable
{
    private const int DiskBlocks = 64;

    private readonly string _folder = Directory.CreateTempSubdirectory("kvasir-kv-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_block_that_gave_way_comes_back_from_host_memory()
    {
        using var cache = new TestCache(4, host: 8);
        cache.Run(Tokens(60, 1));
        cache.Run(Tokens(60, 2));
        Assert.Equal(48, cache.Place(Tokens(60, 1)).Cached);
        Assert.Equal(3, cache.Loads);
    }

    [Fact]
    public void A_host_tier_that_is_full_keeps_what_was_wanted_last()
    {
        using var cache = new TestCache(4, host: 6);
        cache.Run(Tokens(60, 1));
        cache.Run(Tokens(60, 2));
        cache.Run(Tokens(60, 3));
        Assert.Equal(48, Cached(cache, Tokens(60, 2)));
        Assert.Equal(0, Cached(cache, Tokens(60, 1)));
    }

    [Fact]
    public void What_requests_left_is_on_disk_after_a_restart()
    {
        using (var first = Open())
        {
            first.Run(Tokens(100, 1));
            first.Run(Tokens(40, 2));
            first.SaveAll();
        }
        using var second = Open();
        Assert.Equal(96, Cached(second, Tokens(100, 1)));
        Assert.Equal(32, Cached(second, Tokens(40, 2)));
        Assert.Equal(8, second.Loads);
        Assert.Equal(0, Cached(second, Tokens(40, 3)));
    }

    [Fact]
    public void Saved_blocks_are_written_once()
    {
        using var cache = Open();
        for (var i = 0; i < 3; i++)
        {
            cache.Run(Tokens(100, 1));
            cache.SaveAll();
        }
        Assert.Equal(6, State(cache).Stored);
        Assert.Equal(6, State(cache).UsedBlocks);
    }

    [Fact]
    public void A_disk_tier_that_is_full_forgets_what_was_wanted_longest_ago()
    {
        using (var first = Open(diskBlocks: 6))
        {
            for (var family = 1; family <= 3; family++)
            {
                first.Run(Tokens(60, family));
                first.SaveAll();
            }
        }
        using var second = Open(diskBlocks: 6);
        Assert.Equal(48, Cached(second, Tokens(60, 3)));
        Assert.Equal(48, Cached(second, Tokens(60, 2)));
        Assert.Equal(0, Cached(second, Tokens(60, 1)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_flipped_bit_is_found_and_its_page_computed_again(int page)
    {
        Fill();
        Change("pages", bytes => bytes[(page * 4096) + 77] ^= 4);
        using var cache = Open();
        Assert.Equal(page * 16, Cached(cache, Tokens(60, 1)));
        cache.SaveAll();
        Assert.Equal(1, State(cache).Damaged);
        cache.Run(Tokens(60, 1));
        cache.SaveAll();
        Assert.Equal(3, State(cache).UsedBlocks);
    }

    [Fact]
    public void A_page_cut_short_is_computed_again()
    {
        Fill();
        var path = File("pages");
        using (var file = System.IO.File.OpenWrite(path)) file.SetLength((2 * 4096) + 100);
        using var cache = Open();
        Assert.Equal(32, Cached(cache, Tokens(60, 1)));
    }

    [Fact]
    public void Any_change_of_the_index_loses_at_most_blocks()
    {
        Fill();
        var original = System.IO.File.ReadAllBytes(File("index"));
        Gen.Int[0, original.Length - 1].Select(Gen.Int[1, 255]).Sample((at, change) =>
        {
            var bytes = original.ToArray();
            bytes[at] ^= (byte)change;
            System.IO.File.WriteAllBytes(File("index"), bytes);
            // A header of other files empties them, which this puts right again.
            var pages = System.IO.File.ReadAllBytes(File("pages"));
            using (var cache = Open(mayRefuse: true))
                if (cache is not null) Assert.InRange(Cached(cache, Tokens(60, 1)), 0, 48);
            System.IO.File.WriteAllBytes(File("pages"), pages);
        }, iter: 200, threads: 1);
    }

    [Fact]
    public void Two_processes_do_not_share_a_folder()
    {
        using var first = Open();
        var error = Assert.Throws<KvTierException>(() => Open());
        Assert.Contains(_folder, error.Message, StringComparison.Ordinal);
        Assert.Contains("another process", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_of_another_model_are_emptied()
    {
        Fill();
        using (var other = Open(digest: 2)) Assert.Equal(0, Cached(other, Tokens(60, 1)));
        using var again = Open();
        Assert.Equal(0, Cached(again, Tokens(60, 1)));
    }

    [Fact]
    public void With_a_key_neither_text_nor_values_can_be_read_and_the_key_is_needed()
    {
        var key = Enumerable.Range(0, 32).Select(i => (byte)i).ToArray();
        using (var first = Open(key: key))
        {
            first.Run(Tokens(60, 1));
            first.SaveAll();
        }
        // 16 tokens in a row would stand in the index as they are.
        Assert.False(Contains(System.IO.File.ReadAllBytes(File("index")), [.. Tokens(16, 1).SelectMany(BitConverter.GetBytes)]));
        Assert.Contains("key", Assert.Throws<KvTierException>(() => Open()).Message, StringComparison.Ordinal);
        Assert.Contains("another key", Assert.Throws<KvTierException>(() => Open(key: [.. key.Reverse()])).Message, StringComparison.Ordinal);
        using var second = Open(key: key);
        Assert.Equal(48, Cached(second, Tokens(60, 1)));
    }

    [Fact]
    public void A_full_disk_ends_the_tier_with_one_warning_and_nothing_else()
    {
        Assert.SkipUnless(System.IO.File.Exists("/dev/full"), "There is no /dev/full here, which stands for a disk without space.");
        Open().Dispose();
        System.IO.File.Delete(File("pages"));
        System.IO.File.CreateSymbolicLink(File("pages"), "/dev/full");
        using var cache = Open();
        for (var family = 1; family <= 3; family++)
        {
            cache.Run(Tokens(60, family));
            cache.SaveAll();
        }
        Assert.True(State(cache).IsOff);
        Assert.Contains("off from now on", Assert.Single(cache.Warnings), StringComparison.Ordinal);
        Assert.Equal(59, Cached(cache, Tokens(60, 3)));
    }

    [Fact]
    public void A_disk_whose_files_vanish_in_use_costs_computing_alone()
    {
        using (var cache = Open())
        {
            cache.Run(Tokens(60, 1));
            cache.SaveAll();
            // What a disk that was taken away leaves of open files: nothing to read.
            foreach (var name in (string[])["pages", "index"])
                using (var file = System.IO.File.Open(File(name), FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete)) file.SetLength(0);
            for (var family = 2; family <= 8; family++) cache.Run(Tokens(60, family));
            Assert.Equal(0, Cached(cache, Tokens(60, 1)));
            Directory.Delete(_folder, recursive: true);
            cache.Run(Tokens(60, 9));
            cache.SaveAll();
            Assert.Equal(59, Cached(cache, Tokens(60, 9)));
        }
        Directory.CreateDirectory(_folder);
        using var again = Open();
        Assert.Equal(0, Cached(again, Tokens(60, 9)));
    }

    [Fact]
    public void A_tenant_does_not_push_out_of_a_tier_what_another_keeps_there()
    {
        using var cache = new TestCache(4, host: 12, tenantShare: 0.5);
        cache.Run(Tokens(60, 1), owner: 1);
        for (var family = 2; family <= 12; family++) cache.Run(Tokens(60, family), owner: 2);
        Assert.Equal(48, Cached(cache, Tokens(60, 1)));
    }

    [Fact]
    public void Nor_out_of_the_device()
    {
        using var cache = new TestCache(16, tenantShare: 0.5);
        cache.Run(Tokens(60, 1), owner: 1);
        for (var family = 2; family <= 12; family++) cache.Run(Tokens(60, family), owner: 2);
        Assert.Equal(59, Cached(cache, Tokens(60, 1)));
    }

    [Fact]
    public void A_tenant_that_is_alone_may_have_all()
    {
        using var cache = new TestCache(4, host: 12, tenantShare: 0.25);
        for (var family = 1; family <= 4; family++) cache.Run(Tokens(60, family), owner: 2);
        for (var family = 4; family >= 1; family--) Assert.Equal(48, Cached(cache, Tokens(60, family)));
    }

    [Fact]
    public void What_is_wanted_longer_outlives_the_rest_in_a_tier_and_after_a_restart()
    {
        var wanted = new KvRetention(90, TimeSpan.FromHours(1));
        using (var first = Open(host: 6, diskBlocks: 6))
        {
            first.Run(Tokens(60, 1), retention: wanted);
            for (var family = 2; family <= 12; family++)
            {
                first.Run(Tokens(60, family));
                first.SaveAll();
            }
            Assert.Equal(59, Cached(first, Tokens(60, 1)));
        }
        using var second = Open(diskBlocks: 6);
        for (var family = 13; family <= 20; family++)
        {
            second.Run(Tokens(60, family));
            second.SaveAll();
        }
        Assert.Equal(48, Cached(second, Tokens(60, 1)));
    }

    [Fact]
    public void After_a_restart_it_is_known_whose_blocks_are()
    {
        var root = TenantName.Root("a salt");
        using (var first = Open())
        {
            first.Run(Tokens(60, 1), root);
            first.SaveAll();
        }
        using var second = Open();
        Assert.Contains(root, second.Cache.Records.Roots);
        Assert.Equal(TenantName.Of("a salt"), Assert.Single(KvListing.Of(second.Cache.Entries(), second.Cache.Records.Roots, []).Prefixes).Tenant);
    }

    [Fact]
    public void What_is_asked_once_is_not_written_where_only_reused_blocks_are()
    {
        using (var first = Open(writes: KvWriteFilter.Reused))
        {
            first.Run(Tokens(60, 1));
            first.SaveAll();
            Assert.Equal(0, State(first).UsedBlocks);
            first.Run([.. Tokens(32, 1), .. Tokens(28, 2)]);
            first.SaveAll();
            Assert.Equal(2, State(first).UsedBlocks);
        }
        using var second = Open();
        Assert.Equal(32, Cached(second, Tokens(60, 1)));
    }

    [Fact]
    public void Where_only_evicted_blocks_are_written_they_are_when_they_give_way_and_all_at_the_end()
    {
        using (var first = Open(writes: KvWriteFilter.Evicted))
        {
            for (var family = 1; family <= 4; family++) first.Run(Tokens(60, family));
            first.SaveAll();
            Assert.Equal(0, State(first).UsedBlocks);
            first.Run(Tokens(60, 5));
            first.SaveAll();
            Assert.Equal(3, State(first).UsedBlocks);
            first.Cache.BeginLeaving();
            first.SaveAll();
        }
        using var second = Open();
        for (var family = 1; family <= 5; family++) Assert.Equal(48, Cached(second, Tokens(60, family)));
    }

    [Fact]
    public void A_tier_without_room_for_one_block_is_refused_with_the_numbers()
    {
        var options = SteppedEngine.Roomy with { KvHostBytes = 100 };
        Assert.Contains("100 B", Assert.Throws<KvTierException>(() => LlmEngine.Create(TinyModels.Of(SyntheticFamily.Llama), options)).Message, StringComparison.Ordinal);
        options = SteppedEngine.Roomy with { KvDisk = new KvDiskOptions(_folder, 100) };
        Assert.Contains("--kv-disk", Assert.Throws<KvTierException>(() => LlmEngine.Create(TinyModels.Of(SyntheticFamily.Llama), options)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_block_is_not_loaded_when_computing_it_is_quicker()
    {
        using var cache = new TestCache(4, host: 8);
        cache.Run(Tokens(60, 1));
        cache.Run(Tokens(60, 2));
        cache.Cache.TimePrompt(1e-3);
        Assert.Equal(48, Cached(cache, Tokens(60, 1)));
        cache.Run(Tokens(60, 2));
        cache.Tiers!.ComputeSecondsPerToken = 1e-15;
        Assert.Equal(0, Cached(cache, Tokens(60, 1)));
    }

    [Fact]
    public void Clearing_forgets_the_tiers_too()
    {
        Fill();
        using (var cache = Open(host: 4))
        {
            cache.Run(Tokens(60, 2));
            cache.SaveAll();
            cache.Cache.Clear();
            Assert.Equal(0, Cached(cache, Tokens(60, 1)));
        }
        using var again = Open();
        Assert.Equal(0, Cached(again, Tokens(60, 2)));
    }

    /// <summary>Restarts included: what is loaded is what would have been computed, which the cache checks at every step.</summary>
    [Fact]
    public void Whatever_happens_tiers_give_back_what_was_computed()
    {
        var number = 0;
        Gen.Select(Gen.Int[0, 9], Gen.Int[0, 1000], Gen.Int[1, 90]).Array[0, 60].Sample(steps =>
        {
            var folder = Path.Combine(_folder, $"{number++}");
            for (var round = 0; round < 2; round++)
            {
                using var cache = new TestCache(8, EvictionKind.Arc, 2, DiskPages.Open(folder, 1, (int)TestCache.BlockBytes, 16, null), 16);
                foreach (var (action, pick, length) in steps)
                {
                    int[] tokens = [.. Enumerable.Range(0, length).Select(i => i < pick % 40 ? i : i + (pick % 5))];
                    if (action < 7)
                    {
                        if (cache.TryPlace(tokens, out var placed) != Placement.Placed) continue;
                        cache.Compute(placed!, placed!.Tokens.Count);
                        cache.Release(placed);
                    }
                    else cache.Cache.Save();
                    cache.Pool.CheckIntegrity();
                }
                cache.SaveAll();
                Assert.Equal(8, cache.Pool.Free);
            }
        }, iter: 100, threads: 1);
    }

    private void Fill()
    {
        using var cache = Open();
        cache.Run(Tokens(60, 1));
        cache.SaveAll();
    }

    private TestCache Open(int host = 0, int diskBlocks = DiskBlocks, UInt128? digest = null, byte[]? key = null, KvWriteFilter writes = KvWriteFilter.All) =>
        new(16, host: host, pages: DiskPages.Open(_folder, digest ?? 1, (int)TestCache.BlockBytes, diskBlocks, key), diskBlocks: diskBlocks, writes: writes);

    private TestCache? Open(bool mayRefuse)
    {
        try
        {
            return Open();
        }
        catch (KvTierException) when (mayRefuse)
        {
            return null;
        }
    }

    private string File(string name) => Path.Combine(_folder, name);

    private void Change(string name, Action<byte[]> change)
    {
        var bytes = System.IO.File.ReadAllBytes(File(name));
        change(bytes);
        System.IO.File.WriteAllBytes(File(name), bytes);
    }

    private static int Cached(TestCache cache, int[] tokens)
    {
        var sequence = cache.Place(tokens);
        cache.Release(sequence);
        return sequence.Cached;
    }

    private static KvTierState State(TestCache cache) => cache.Tiers!.States[^1];

    private static int[] Tokens(int count, int family) => [.. Enumerable.Range(0, count).Select(i => (i * 7 % 101) + (family * 1000))];

    private static bool Contains(byte[] bytes, byte[] part) => bytes.AsSpan().IndexOf(part) >= 0;
}
