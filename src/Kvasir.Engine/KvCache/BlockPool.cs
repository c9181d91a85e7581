namespace Kvasir.Engine.KvCache;

/// <summary>
/// The numbers of the KV blocks and who uses them. A block is held by one or more sequences, or idle with contents that
/// a later request may want, or empty. Idle blocks are given out when no empty one is left, in the order of the eviction
/// policy. Taking and returning are O(1). For one thread: the engine's.
/// </summary>
public sealed class BlockPool
{
    /// <summary>Bytes that the pool's books take per block.</summary>
    public const int BytesPerBlock = 9;

    private readonly int[] _references;
    private readonly bool[] _isNamed;
    private readonly int[] _empty;
    private readonly IEvictionPolicy _policy;
    private int _emptyCount;

    /// <param name="blocks">Number of blocks.</param>
    /// <param name="policy">The order of eviction; LRU when null.</param>
    public BlockPool(int blocks, IEvictionPolicy? policy = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blocks, 1);
        _references = new int[blocks];
        _isNamed = new bool[blocks];
        _empty = new int[blocks];
        _policy = policy ?? new LruEviction(blocks);
        // Lowest numbers on top: a lightly used pool touches the start of its memory alone.
        for (var i = 0; i < blocks; i++) _empty[i] = blocks - 1 - i;
        _emptyCount = blocks;
    }

    /// <summary>Called with the number of a block whose contents are about to be overwritten.</summary>
    public Action<int> Evicting { private get; set; } = static _ => { };

    /// <summary>Number of blocks.</summary>
    public int Capacity => _references.Length;

    /// <summary>Blocks nobody holds: empty ones and idle ones.</summary>
    public int Free => _emptyCount + _policy.Count;

    /// <summary>Blocks nobody holds whose contents are kept.</summary>
    public int Idle => _policy.Count;

    /// <summary>Blocks that were idle and given out again since the start.</summary>
    public long Evictions { get; private set; }

    /// <summary>Whether nobody holds a block.</summary>
    public bool IsFree(int block) => _references[block] == 0;

    /// <summary>How many hold a block.</summary>
    public int Holders(int block) => _references[block];

    /// <summary>Takes a block for one holder, an empty one first; false when all are held.</summary>
    public bool TryTake(out int block)
    {
        block = _emptyCount > 0 ? _empty[--_emptyCount] : _policy.Evict();
        if (block < 0) return false;
        if (_isNamed[block])
        {
            _isNamed[block] = false;
            Evictions++;
            Evicting(block);
        }
        _references[block] = 1;
        return true;
    }

    /// <summary>Adds a holder to a block with contents, held or idle.</summary>
    public void Share(int block)
    {
        if (_references[block] == 0 && !_isNamed[block]) throw new InvalidOperationException($"Block {block} is empty and cannot be shared.");
        _policy.Reuse(block);
        _references[block]++;
    }

    /// <summary>Contents of a held block are worth keeping when its last holder leaves.</summary>
    public void Keep(int block)
    {
        if (_references[block] == 0) throw new InvalidOperationException($"Block {block} is not held; its contents cannot be kept.");
        _isNamed[block] = true;
    }

    /// <summary>A holder gives a block back. The last one leaves it idle, or empty when nothing in it is worth keeping.</summary>
    /// <param name="block">Its number.</param>
    /// <param name="name">Name of the contents, for the policy.</param>
    public void Return(int block, UInt128 name = default)
    {
        if (_references[block] == 0) throw new InvalidOperationException($"Block {block} is returned more often than it was taken.");
        if (--_references[block] > 0) return;
        if (_isNamed[block]) _policy.Add(block, name);
        else _empty[_emptyCount++] = block;
    }

    /// <summary>Empties an idle block.</summary>
    public void Empty(int block)
    {
        if (_references[block] != 0 || !_isNamed[block]) throw new InvalidOperationException($"Block {block} is not idle and cannot be emptied.");
        _policy.Drop(block);
        _isNamed[block] = false;
        _empty[_emptyCount++] = block;
    }

    /// <summary>What a block holds is not worth keeping any more: an idle one is empty now, a held one when its last holder leaves.</summary>
    public void Forget(int block)
    {
        if (_references[block] == 0) Empty(block);
        else _isNamed[block] = false;
    }

    /// <summary>Throws when the lists and the reference counts disagree. O(blocks): for tests and idle moments.</summary>
    public void CheckIntegrity()
    {
        var empty = new HashSet<int>(_empty.AsSpan(0, _emptyCount).ToArray());
        if (empty.Count != _emptyCount) throw new InvalidOperationException("A block is in the list of empty ones twice.");
        var idle = 0;
        for (var block = 0; block < _references.Length; block++)
        {
            if (_references[block] < 0 || (empty.Contains(block) && (_references[block] != 0 || _isNamed[block])))
                throw new InvalidOperationException($"Block {block} has {_references[block]} references but is listed as empty.");
            if (_references[block] == 0 && !empty.Contains(block)) idle++;
        }
        if (idle != _policy.Count) throw new InvalidOperationException($"{idle} blocks are idle, but the policy has {_policy.Count}.");
    }
}
