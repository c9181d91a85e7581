namespace Kvasir.Engine.KvCache;

/// <summary>A prefix that is held whether requests use it or not.</summary>
/// <param name="table">Its blocks.</param>
/// <param name="name">Name of its last block.</param>
internal sealed class PinnedPrefix(BlockTable table, UInt128 name)
{
    public BlockTable Table { get; } = table;
    public UInt128 Name { get; } = name;

    /// <summary>Timestamp from which on it is held no longer; the largest number for never.</summary>
    public long Ends { get; set; }
}

/// <summary>Pins: prefixes that stay. They yield to a request that could not run otherwise, and to nothing else.</summary>
internal sealed partial class PrefixCache
{
    private readonly List<PinnedPrefix> _pins = [];

    /// <summary>Pins, the oldest first.</summary>
    public IReadOnlyList<PinnedPrefix> Pins => _pins;

    /// <summary>Pins that had to yield since the start.</summary>
    public long BrokenPins { get; private set; }

    /// <summary>Pins the full blocks of a text that are on the device, of groups with a window those that a text after it needs.</summary>
    /// <param name="table">A table without blocks, of the text's tenant.</param>
    /// <param name="tokens">Tokens that fill blocks.</param>
    /// <param name="ends">Timestamp at which the pin ends.</param>
    /// <param name="mostBlocks">Blocks that pins may hold in all.</param>
    /// <param name="pinned">The pin, new or renewed; null when blocks are missing.</param>
    /// <returns>Blocks that pins would hold; more than <paramref name="mostBlocks"/> when that is why nothing was pinned.</returns>
    public int TryPin(BlockTable table, ReadOnlySpan<int> tokens, long ends, int mostBlocks, out PinnedPrefix? pinned)
    {
        var full = tokens.Length / BlockTokens;
        var (isWhole, further) = (true, 0);
        var blocks = new List<(int Group, int Index, int Block)>();
        for (var group = 0; group < _groups.Count; group++)
        {
            for (var i = _groups.First(group, full * BlockTokens); i < full; i++)
            {
                var isHere = _index.TryFind(table.Label(group, i, tokens), out var block);
                isWhole &= isHere;
                if (isHere) blocks.Add((group, i, block));
                if (!isHere || _records.Pins(block) == 0) further++;
            }
        }
        pinned = null;
        if (_records.Pinned + further > mostBlocks || !isWhole) return _records.Pinned + further;
        var name = table.Name(full - 1, tokens);
        pinned = _pins.Find(pin => pin.Name == name);
        if (pinned is null)
        {
            foreach (var (group, i, block) in blocks)
            {
                _pool.Share(block);
                table.Put(group, i, block);
                if (_records.Pins(block)++ == 0) _records.Pinned++;
            }
            table.Listed = full;
            _pins.Add(pinned = new PinnedPrefix(table, name));
        }
        pinned.Ends = ends;
        return _records.Pinned;
    }

    /// <summary>Ends a pin; its blocks stay until their room is needed.</summary>
    /// <returns>False when there is no such pin.</returns>
    public bool Unpin(UInt128 name)
    {
        if (_pins.FindIndex(pin => pin.Name == name) is not (>= 0 and var index)) return false;
        var table = _pins[index].Table;
        _pins.RemoveAt(index);
        foreach (var block in table.AllHeld())
        {
            if (--_records.Pins(block) == 0) _records.Pinned--;
            _records.Use(block);
        }
        table.Clear();
        return true;
    }

    /// <summary>The oldest pin yields to a request that could not run otherwise; false when there is none.</summary>
    public bool BreakPin()
    {
        if (_pins.Count == 0) return false;
        BrokenPins++;
        return Unpin(_pins[0].Name);
    }

    /// <summary>Ends the pins whose time is over.</summary>
    public void EndPins(long now)
    {
        for (var i = _pins.Count - 1; i >= 0; i--)
            if (now >= _pins[i].Ends) Unpin(_pins[i].Name);
    }
}
