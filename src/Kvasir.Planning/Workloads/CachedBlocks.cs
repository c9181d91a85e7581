using System.Collections.Immutable;

namespace Kvasir.Planning.Workloads;

/// <summary>Blocks of prompts by name: in use by requests, or kept unused until their room is needed, the longest unused going first.</summary>
internal sealed class CachedBlocks
{
    private readonly Dictionary<long, Block> _blocks = [];
    private readonly LinkedList<Block> _unused = new();
    private readonly HashSet<long> _everSeen = [];

    /// <summary>Blocks in use.</summary>
    public int Used => _blocks.Count - _unused.Count;
    /// <summary>Blocks kept unused.</summary>
    public int Unused => _unused.Count;
    /// <summary>Different blocks that were ever made.</summary>
    public int EverSeen => _everSeen.Count;

    /// <summary>How many of the names, from the first on, are here, and how many would be had none been dropped.</summary>
    public (int Here, int EverSeen) Match(ImmutableArray<long> names, int count)
    {
        var here = 0;
        while (here < count && _blocks.ContainsKey(names[here])) here++;
        var seen = here;
        while (seen < count && _everSeen.Contains(names[seen])) seen++;
        return (here, seen);
    }

    /// <summary>How many blocks a request would bring into use that are not in use yet.</summary>
    public int NewlyUsed(ImmutableArray<long> names, int count)
    {
        var fresh = 0;
        for (var i = 0; i < count; i++)
            if (!_blocks.TryGetValue(names[i], out var block) || block.References == 0) fresh++;
        return fresh;
    }

    /// <summary>Takes blocks into use, making those that are not here.</summary>
    public void Acquire(ImmutableArray<long> names, int count)
    {
        for (var i = 0; i < count; i++)
        {
            if (!_blocks.TryGetValue(names[i], out var block)) _blocks.Add(names[i], block = new Block(names[i]));
            else if (block.References == 0) _unused.Remove(block.Place!);
            block.References++;
            _everSeen.Add(names[i]);
        }
    }

    /// <summary>Gives blocks back; those that nobody uses any more are kept.</summary>
    public void Release(ImmutableArray<long> names, int count)
    {
        // The last block of a prompt is of use only with those before it, so it goes first.
        for (var i = count - 1; i >= 0; i--)
            if (_blocks.TryGetValue(names[i], out var block) && --block.References == 0) block.Place = _unused.AddLast(block);
    }

    /// <summary>Drops the longest unused blocks; returns how many were dropped.</summary>
    public int Drop(int count)
    {
        var dropped = Math.Min(Math.Max(0, count), _unused.Count);
        for (var i = 0; i < dropped; i++)
        {
            _blocks.Remove(_unused.First!.Value.Name);
            _unused.RemoveFirst();
        }
        return dropped;
    }

    private sealed class Block(long name)
    {
        public long Name { get; } = name;
        public int References;
        public LinkedListNode<Block>? Place;
    }
}
