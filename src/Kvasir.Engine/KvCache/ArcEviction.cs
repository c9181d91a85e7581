namespace Kvasir.Engine.KvCache;

/// <summary>
/// Adaptive replacement (Megiddo and Modha, FAST 2003): blocks seen once and blocks seen again in two LRU lists, and the
/// names of what either evicted. A name that comes back shows which list was too short, and moves the line between them.
/// </summary>
public sealed class ArcEviction : IEvictionPolicy
{
    private readonly BlockLinks _links;
    private readonly BlockList _once = new();
    private readonly BlockList _again = new();
    private readonly GhostList _evictedOnce;
    private readonly GhostList _evictedAgain;
    private readonly bool[] _isFrequent;
    private readonly UInt128[] _names;
    private readonly int _blocks;
    private double _target;

    /// <param name="blocks">Blocks of the pool.</param>
    public ArcEviction(int blocks)
    {
        (_blocks, _links, _isFrequent, _names) = (blocks, new BlockLinks(blocks), new bool[blocks], new UInt128[blocks]);
        (_evictedOnce, _evictedAgain) = (new GhostList(blocks), new GhostList(blocks));
    }

    /// <inheritdoc/>
    public int Count => _once.Count + _again.Count;

    /// <inheritdoc/>
    public void Add(int block, UInt128 name)
    {
        _names[block] = name;
        if (name == 0)
        {
            // Blocks that are not full have no name to come back under.
        }
        else if (_evictedOnce.Remove(name))
        {
            _target = Math.Min(_blocks, _target + Math.Max(1, (double)_evictedAgain.Count / Math.Max(1, _evictedOnce.Count)));
            _isFrequent[block] = true;
        }
        else if (_evictedAgain.Remove(name))
        {
            _target = Math.Max(0, _target - Math.Max(1, (double)_evictedOnce.Count / Math.Max(1, _evictedAgain.Count)));
            _isFrequent[block] = true;
        }
        _links.Append(_isFrequent[block] ? _again : _once, block);
    }

    /// <inheritdoc/>
    public void Reuse(int block)
    {
        if (_links.ListOf(block) is not null) _links.Remove(block);
        _isFrequent[block] = true;
    }

    /// <inheritdoc/>
    public void Drop(int block)
    {
        _links.Remove(block);
        _isFrequent[block] = false;
    }

    /// <inheritdoc/>
    public int Evict()
    {
        if (Count == 0) return -1;
        var fromOnce = _once.Count > 0 && (_once.Count > _target || _again.Count == 0);
        var block = _links.TakeFirst(fromOnce ? _once : _again);
        if (_names[block] != 0) (fromOnce ? _evictedOnce : _evictedAgain).Add(_names[block]);
        _isFrequent[block] = false;
        return block;
    }

    /// <summary>Names in the order of their eviction, at most as many as the pool has blocks.</summary>
    private sealed class GhostList(int most)
    {
        private readonly Dictionary<UInt128, int> _slots = new(most);
        private readonly UInt128[] _names = new UInt128[most];
        private readonly BlockLinks _links = new(most);
        private readonly BlockList _order = new();
        private readonly BlockList _given = new();
        private int _fresh;

        public int Count => _order.Count;

        public bool Remove(UInt128 name)
        {
            if (!_slots.Remove(name, out var slot)) return false;
            _links.Remove(slot);
            _links.Append(_given, slot);
            return true;
        }

        public void Add(UInt128 name)
        {
            if (_slots.ContainsKey(name)) return;
            if (_order.Count == most) Remove(_names[_order.First]);
            var slot = _given.Count > 0 ? _links.TakeFirst(_given) : _fresh++;
            (_names[slot], _slots[name]) = (name, slot);
            _links.Append(_order, slot);
        }
    }
}
