using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.KvCache;

/// <summary>A block with contents that can be found, in one tier.</summary>
/// <param name="Tier">Where.</param>
/// <param name="Group">The group of layers it is of.</param>
/// <param name="Name">Its name, the same in all groups; 0 for one that is not full.</param>
/// <param name="Parent">The name of what it follows, the same in all groups.</param>
/// <param name="Tokens">Tokens in it.</param>
/// <param name="Holders">Requests and pins that hold it.</param>
/// <param name="Pins">How many of those are pins.</param>
/// <param name="IdleSeconds">Since a request left it; NaN where that is not known.</param>
internal readonly record struct KvEntry(KvTier Tier, int Group, UInt128 Name, UInt128 Parent, int Tokens, int Holders, int Pins, double IdleSeconds)
{
    /// <summary>The entry of a block by the names of its group.</summary>
    public static KvEntry Of(KvTier tier, UInt128 name, UInt128 parent, int tokens, int holders = 0, int pins = 0, double idleSeconds = double.NaN) =>
        new(tier, KvGroups.Group(parent), KvGroups.Block(name), KvGroups.Block(parent), tokens, holders, pins, idleSeconds);
}

/// <summary>What is here.</summary>
internal sealed partial class PrefixCache
{
    /// <summary>Whose each block is, and since when.</summary>
    public BlockRecords Records => _records;

    /// <summary>Tokens that a block on the device can be found by, 0 when it cannot.</summary>
    public int CountOf(int block) => _index.CountOf(block);

    /// <summary>Everything that can be found, tier by tier.</summary>
    public List<KvEntry> Entries()
    {
        var entries = new List<KvEntry>();
        for (var block = 0; block < _pool.Capacity; block++)
        {
            if (_index.CountOf(block) is not (> 0 and var tokens)) continue;
            entries.Add(KvEntry.Of(KvTier.Device, _index.NameOf(block), _index.ParentOf(block), tokens, _pool.Holders(block), _records.Pins(block), _records.Idle(block).TotalSeconds));
        }
        _tiers?.AddEntries(entries);
        return entries;
    }
}
