using Kvasir.Engine.Inspection;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Protocol;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.Tests.KvCache;

/// <summary>Whoever follows the events knows what the cache holds.</summary>
public sealed class KvEventLogTests : IDisposable
{
    private static readonly UInt128 Root = TenantName.Root(null);

    private readonly string _folder = Directory.CreateTempSubdirectory("kvasir-events").FullName;
    private readonly Follower _follower = new();
    private readonly KvEventLog _log;

    public KvEventLogTests() => _log = new KvEventLog(_follower.Apply, TimeProvider.System);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Blocks_of_one_text_come_in_one_event_with_their_tokens()
    {
        using var cache = new TestCache(8, events: _log);
        var tokens = Enumerable.Range(0, 40).ToArray();
        var sequence = Place(cache, tokens);
        cache.Compute(sequence, 40);
        _log.Publish();
        var stored = Assert.IsType<BlocksStored>(Assert.Single(_follower.Events));
        Assert.Equal(2, stored.Blocks.Length);
        Assert.Null(stored.Parent);
        Assert.Equal(Enumerable.Range(0, 32), stored.Tokens);
        Assert.Equal((16, KvTier.Device), (stored.BlockSize, stored.Tier));
        Assert.Empty(stored.ExtraKeys);
    }

    [Fact]
    public void The_first_block_under_a_salt_says_so_without_telling_the_salt()
    {
        using var cache = new TestCache(8, events: _log);
        var salted = TenantName.Root("tenant");
        cache.TryPlace([.. Enumerable.Range(0, 40)], out var sequence, salted);
        cache.Compute(sequence!, 40);
        _log.Publish();
        var stored = Assert.IsType<BlocksStored>(Assert.Single(_follower.Events));
        Assert.Null(stored.Parent);
        Assert.Equal([new BlockKey((ulong)(salted >> 64), (ulong)salted).ToString(), null], stored.ExtraKeys);
    }

    [Fact]
    public void Nothing_is_published_where_nothing_changed()
    {
        _log.Publish();
        Assert.Empty(_follower.Events);
    }

    [Fact]
    public void What_was_on_disk_before_a_restart_is_told_at_the_start_and_in_order()
    {
        var tokens = Enumerable.Range(0, 65).ToArray();
        using (var before = Tiered(events: null))
        {
            before.Run(tokens, Root);
            before.SaveAll();
        }
        using var after = Tiered(_log);
        _log.Publish();
        var stored = Assert.IsType<BlocksStored>(Assert.Single(_follower.Events));
        Assert.Equal((KvTier.Disk, 4), (stored.Tier, stored.Blocks.Length));
        Assert.Null(stored.Parent);
        Assert.Equal(tokens[..64], stored.Tokens);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Events_foretell_every_hit_through_all_tiers(int seed)
    {
        var random = new Random(seed);
        using var cache = Tiered(_log);
        var texts = Enumerable.Range(0, 8).Select(_ => Enumerable.Range(0, 90).Select(_ => random.Next(3)).ToArray()).ToArray();
        var hits = 0;
        for (var i = 0; i < 400; i++)
        {
            var text = texts[random.Next(texts.Length)];
            var tokens = text[..random.Next(17, text.Length)];
            if (random.Next(50) == 0) cache.Cache.Clear();
            cache.SaveAll();
            _log.Publish();
            var foretold = _follower.Hits(tokens);
            Assert.Equal(Placement.Placed, cache.TryPlace(tokens, out var sequence, Root));
            // Where tokens of the next block are found too, some more are copied.
            Assert.Equal(foretold, sequence!.Cached / 16 * 16);
            hits += foretold;
            cache.Compute(sequence, tokens.Length);
            cache.Release(sequence);
        }
        Assert.True(hits > 1000, $"{hits}");
    }

    private TestCache Tiered(KvEventLog? events) =>
        new(12, EvictionKind.Arc, 14, DiskPages.Open(_folder, 1, (int)TestCache.BlockBytes, 18, null), 18, events);

    private static TestSequence Place(TestCache cache, int[] tokens)
    {
        cache.TryPlace(tokens, out var sequence, Root);
        return sequence!;
    }

    /// <summary>Knows of the cache what events tell.</summary>
    private sealed class Follower
    {
        private readonly HashSet<(BlockKey Key, KvTier Tier)> _held = [];
        private readonly Dictionary<UInt128, BlockKey> _keys = [];
        private readonly Dictionary<BlockKey, UInt128> _chains = [];

        public List<KvEvent> Events { get; } = [];

        public void Apply(KvEventBatch batch)
        {
            foreach (var change in batch.Events)
            {
                Events.Add(change);
                if (change is BlocksRemoved removed)
                    foreach (var key in removed.Blocks) Assert.True(_held.Remove((key, removed.Tier)), $"{key} left {removed.Tier}, where it was not.");
                if (change is not BlocksStored stored) continue;
                var parent = stored.Parent is { } known ? _chains[known] : Root;
                for (var i = 0; i < stored.Blocks.Length; i++)
                {
                    var key = stored.Blocks[i];
                    Assert.True(_held.Add((key, stored.Tier)), $"{key} entered {stored.Tier} twice.");
                    if (stored.Tokens.IsEmpty)
                    {
                        Assert.Contains(key, _chains);
                        continue;
                    }
                    parent = KvGroups.Block(BlockHash.Next(parent, stored.Tokens.AsSpan(i * 16, 16)));
                    (_keys[parent], _chains[key]) = (key, parent);
                }
            }
        }

        public int Hits(int[] tokens)
        {
            var parent = Root;
            var hits = 0;
            for (; hits + 16 < tokens.Length; hits += 16)
            {
                parent = KvGroups.Block(BlockHash.Next(parent, tokens.AsSpan(hits, 16)));
                if (!_keys.TryGetValue(parent, out var key) || !Enum.GetValues<KvTier>().Any(tier => _held.Contains((key, tier)))) break;
            }
            return hits;
        }
    }
}
