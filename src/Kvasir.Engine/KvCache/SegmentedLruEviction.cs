namespace Kvasir.Engine.KvCache;

/// <summary>
/// Two LRU lists: blocks are on probation until they are asked for again, and protected afterwards. A flood of prompts
/// that never return passes through probation alone. The protected list is bounded; its oldest go back on probation.
/// </summary>
public sealed class SegmentedLruEviction : IEvictionPolicy
{
    private const double ProtectedShare = 0.8;

    private readonly BlockLinks _links;
    private readonly BlockList _probation = new();
    private readonly BlockList _protected = new();
    private readonly bool[] _wasReused;
    private readonly int _mostProtected;

    /// <param name="blocks">Blocks of the pool.</param>
    public SegmentedLruEviction(int blocks) =>
        (_links, _wasReused, _mostProtected) = (new BlockLinks(blocks), new bool[blocks], (int)(blocks * ProtectedShare));

    /// <inheritdoc/>
    public int Count => _probation.Count + _protected.Count;

    /// <inheritdoc/>
    public void Add(int block, UInt128 name)
    {
        _links.Append(_wasReused[block] ? _protected : _probation, block);
        if (_protected.Count > _mostProtected) _links.Append(_probation, _links.TakeFirst(_protected));
    }

    /// <inheritdoc/>
    public void Reuse(int block)
    {
        if (_links.ListOf(block) is not null) _links.Remove(block);
        _wasReused[block] = true;
    }

    /// <inheritdoc/>
    public void Drop(int block)
    {
        _links.Remove(block);
        _wasReused[block] = false;
    }

    /// <inheritdoc/>
    public int Evict()
    {
        if (Count == 0) return -1;
        var block = _links.TakeFirst(_probation.Count > 0 ? _probation : _protected);
        _wasReused[block] = false;
        return block;
    }
}
