namespace Kvasir.Engine.KvCache;

/// <summary>
/// The numbers of the KV blocks and who uses them. A block is free or held by one or more sequences. Taking and returning
/// are O(1). For one thread: the engine's.
/// </summary>
public sealed class BlockPool
{
    private readonly int[] _references;
    private readonly int[] _free;
    private int _freeCount;

    /// <param name="blocks">Number of blocks.</param>
    public BlockPool(int blocks)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blocks, 1);
        _references = new int[blocks];
        _free = new int[blocks];
        // Lowest numbers on top: a lightly used pool touches the start of its memory alone.
        for (var i = 0; i < blocks; i++) _free[i] = blocks - 1 - i;
        _freeCount = blocks;
    }

    /// <summary>Number of blocks.</summary>
    public int Capacity => _references.Length;

    /// <summary>Blocks nobody holds.</summary>
    public int Free => _freeCount;

    /// <summary>Takes a free block for one holder; false when there is none.</summary>
    public bool TryTake(out int block)
    {
        block = -1;
        if (_freeCount == 0) return false;
        block = _free[--_freeCount];
        _references[block] = 1;
        return true;
    }

    /// <summary>Adds a holder to a held block.</summary>
    public void Share(int block)
    {
        if (_references[block] == 0) throw new InvalidOperationException($"Block {block} is free and cannot be shared.");
        _references[block]++;
    }

    /// <summary>A holder gives a block back; the last one frees it.</summary>
    public void Return(int block)
    {
        if (_references[block] == 0) throw new InvalidOperationException($"Block {block} is returned more often than it was taken.");
        if (--_references[block] == 0) _free[_freeCount++] = block;
    }

    /// <summary>Throws when the free list and the reference counts disagree. O(blocks): for tests and idle moments.</summary>
    public void CheckIntegrity()
    {
        var free = new HashSet<int>(_free.AsSpan(0, _freeCount).ToArray());
        if (free.Count != _freeCount) throw new InvalidOperationException("A block is in the free list twice.");
        for (var block = 0; block < _references.Length; block++)
            if (_references[block] < 0 || (_references[block] == 0) != free.Contains(block))
                throw new InvalidOperationException($"Block {block} has {_references[block]} references but is {(free.Contains(block) ? "" : "not ")}free.");
    }
}
