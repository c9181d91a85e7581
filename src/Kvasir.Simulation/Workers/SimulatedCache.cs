using System.Collections.Immutable;

namespace Kvasir.Simulation.Workers;

/// <summary>A worker's prefix cache: named blocks that running requests hold, and idle ones that the least recently used of give way.</summary>
internal sealed class SimulatedCache(int capacity)
{
    private readonly Dictionary<ulong, Block> _named = [];
    private readonly LinkedList<ulong> _idle = new();
    private int _taken;

    /// <summary>A named block entered (true) or left the cache.</summary>
    public Action<ulong, bool> Changed { private get; set; } = static (_, _) => { };

    /// <summary>Share of blocks that running requests hold.</summary>
    public double UsedRatio => (double)(_taken - _idle.Count) / capacity;

    /// <summary>Blocks from the prompt's start that are here.</summary>
    public int Match(ImmutableArray<ulong> chain)
    {
        var count = 0;
        while (count < chain.Length && _named.ContainsKey(chain[count])) count++;
        return count;
    }

    /// <summary>Holds the first <paramref name="matched"/> blocks of the chain and takes others; false (and nothing done) where there is no room.</summary>
    public bool TryHold(ImmutableArray<ulong> chain, int matched, int others)
    {
        var revived = 0;
        for (var i = 0; i < matched; i++)
            if (_named[chain[i]].Holders == 0) revived++;
        if (capacity - _taken + _idle.Count - revived < others) return false;
        for (var i = 0; i < matched; i++) Hold(_named[chain[i]]);
        for (var i = 0; i < others; i++)
        {
            if (_taken < capacity) _taken++;
            else Evict();
        }
        return true;
    }

    /// <summary>Blocks that were taken without a name have been computed. Names that another request brought meanwhile are shared, and the copies given back.</summary>
    public void Publish(ImmutableArray<ulong> chain, int from)
    {
        for (var i = from; i < chain.Length; i++)
        {
            if (_named.TryGetValue(chain[i], out var known))
            {
                Hold(known);
                _taken--;
                continue;
            }
            _named[chain[i]] = new Block(chain[i]) { Holders = 1 };
            Changed(chain[i], true);
        }
    }

    /// <summary>A request ended: its named blocks stay while there is room, the others are free.</summary>
    public void Release(ImmutableArray<ulong> chain, int others)
    {
        _taken -= others;
        for (var i = chain.Length - 1; i >= 0; i--)
        {
            var block = _named[chain[i]];
            if (--block.Holders == 0) block.Idle = _idle.AddLast(block.Name);
        }
    }

    private void Hold(Block block)
    {
        if (block.Idle is { } node)
        {
            _idle.Remove(node);
            block.Idle = null;
        }
        block.Holders++;
    }

    private void Evict()
    {
        var name = _idle.First!.Value;
        _idle.RemoveFirst();
        _named.Remove(name);
        Changed(name, false);
    }

    private sealed class Block(ulong name)
    {
        public ulong Name => name;
        public int Holders { get; set; }
        public LinkedListNode<ulong>? Idle { get; set; }
    }
}
