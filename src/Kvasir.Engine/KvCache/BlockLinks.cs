namespace Kvasir.Engine.KvCache;

/// <summary>Doubly linked lists over the numbers of blocks; a block is in at most one of those that share the links.</summary>
internal sealed class BlockLinks
{
    private readonly int[] _next;
    private readonly int[] _previous;
    private readonly BlockList?[] _list;

    public BlockLinks(int blocks) => (_next, _previous, _list) = (new int[blocks], new int[blocks], new BlockList?[blocks]);

    /// <summary>The list that a block is in, or null.</summary>
    public BlockList? ListOf(int block) => _list[block];

    /// <summary>The block after one in its list, −1 when it is the last.</summary>
    public int After(int block) => _next[block];

    public void Append(BlockList list, int block)
    {
        if (_list[block] is not null) throw new InvalidOperationException($"Block {block} is in a list already.");
        (_previous[block], _next[block], _list[block]) = (list.Last, -1, list);
        if (list.Last >= 0) _next[list.Last] = block; else list.First = block;
        list.Last = block;
        list.Count++;
    }

    public void Remove(int block)
    {
        var list = _list[block] ?? throw new InvalidOperationException($"Block {block} is in no list.");
        var (previous, next) = (_previous[block], _next[block]);
        if (previous >= 0) _next[previous] = next; else list.First = next;
        if (next >= 0) _previous[next] = previous; else list.Last = previous;
        _list[block] = null;
        list.Count--;
    }

    /// <summary>Takes the first block out of a list that has one.</summary>
    public int TakeFirst(BlockList list)
    {
        var block = list.First;
        Remove(block);
        return block;
    }
}

/// <summary>Ends and length of one of the lists of a <see cref="BlockLinks"/>.</summary>
internal sealed class BlockList
{
    public int First { get; set; } = -1;
    public int Last { get; set; } = -1;
    public int Count { get; set; }
}
