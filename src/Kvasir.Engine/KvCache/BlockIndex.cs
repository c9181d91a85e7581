namespace Kvasir.Engine.KvCache;

/// <summary>
/// What the KV blocks hold: tokens, under the name of everything before them. Full blocks are found by name, and all by
/// what they follow, for a block that agrees in part is worth copying. Tokens are compared, so that equal names never
/// stand for different text. For one thread: the engine's.
/// </summary>
internal sealed class BlockIndex
{
    /// <summary>Followers compared for a partial match: the newest ones, so that a popular start costs little.</summary>
    private const int MostFollowers = 32;

    /// <summary>Largest blocks: counts have 16 bits.</summary>
    public const int MostBlockTokens = ushort.MaxValue;

    private readonly int _blockTokens;
    private readonly Dictionary<UInt128, int> _byName;
    private readonly Dictionary<UInt128, int> _firstFollower;
    private readonly UInt128[] _name;
    private readonly UInt128[] _parent;
    private readonly int[] _tokens;
    private readonly ushort[] _count;
    private readonly int[] _next;
    private readonly int[] _previous;

    /// <param name="blocks">Number of blocks.</param>
    /// <param name="blockTokens">Tokens of a full one.</param>
    public BlockIndex(int blocks, int blockTokens = BlockTable.BlockTokens)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(blockTokens, MostBlockTokens);
        _blockTokens = blockTokens;
        (_byName, _firstFollower) = (new Dictionary<UInt128, int>(blocks), new Dictionary<UInt128, int>(blocks));
        (_name, _parent, _tokens, _count) = (new UInt128[blocks], new UInt128[blocks], new int[checked(blocks * blockTokens)], new ushort[blocks]);
        (_next, _previous) = (new int[blocks], new int[blocks]);
    }

    /// <summary>Bytes per block of keys and values: names, tokens, links and an entry in each dictionary.</summary>
    public const int BytesPerBlock = (2 * 16) + (4 * BlockTable.BlockTokens) + 2 + (2 * 4) + (2 * DictionaryEntry);

    // 48 and a bucket of 4; the capacity is a prime up to a fifth above what was asked for.
    private const int DictionaryEntry = 62;

    /// <summary>Name of a block's contents; 0 when they do not fill it.</summary>
    public UInt128 NameOf(int block) => _name[block];

    /// <summary>Tokens that a block holds, 0 when it is not listed.</summary>
    public int CountOf(int block) => _count[block];

    /// <summary>Name of what a listed block follows.</summary>
    public UInt128 ParentOf(int block) => _parent[block];

    /// <summary>The full block that a label describes.</summary>
    public bool TryFind(in BlockLabel label, out int block) => TryFind(label.Name, label.Parent, label.Tokens, out block);

    /// <summary>The full block with these tokens after this parent.</summary>
    public bool TryFind(UInt128 name, UInt128 parent, ReadOnlySpan<int> tokens, out int block) =>
        _byName.TryGetValue(name, out block) && _parent[block] == parent && tokens.SequenceEqual(Tokens(block));

    /// <summary>The block after a parent that begins with the most of these tokens.</summary>
    /// <returns>How many agree, at most as many as given.</returns>
    public int LongestStart(UInt128 parent, ReadOnlySpan<int> tokens, out int block)
    {
        var longest = 0;
        block = -1;
        if (!_firstFollower.TryGetValue(parent, out var follower)) return 0;
        for (var i = 0; follower >= 0 && i < MostFollowers; i++, follower = _next[follower])
        {
            var common = tokens.CommonPrefixLength(Tokens(follower));
            if (common > longest) (longest, block) = (common, follower);
        }
        return longest;
    }

    /// <summary>A block after a parent that is not full and whose tokens all begin these; −1 when there is none.</summary>
    public int PartialStart(UInt128 parent, ReadOnlySpan<int> tokens)
    {
        var follower = _firstFollower.GetValueOrDefault(parent, -1);
        for (var i = 0; follower >= 0 && i < MostFollowers; i++, follower = _next[follower])
            if (_count[follower] < _blockTokens && tokens.StartsWith(Tokens(follower))) return follower;
        return -1;
    }

    /// <summary>Lists a block. A full one has a name; one that is not full has none.</summary>
    /// <returns>False when the name stands for another block.</returns>
    public bool TryAdd(int block, UInt128 name, UInt128 parent, ReadOnlySpan<int> tokens)
    {
        if (_count[block] != 0) throw new InvalidOperationException($"Block {block} is listed already.");
        if (tokens.Length == _blockTokens && !_byName.TryAdd(name, block)) return false;
        (_name[block], _parent[block], _count[block]) = (name, parent, (ushort)tokens.Length);
        tokens.CopyTo(_tokens.AsSpan(block * _blockTokens));
        var first = _firstFollower.GetValueOrDefault(parent, -1);
        (_next[block], _previous[block]) = (first, -1);
        if (first >= 0) _previous[first] = block;
        _firstFollower[parent] = block;
        return true;
    }

    /// <summary>Forgets a block that is listed.</summary>
    public void Remove(int block)
    {
        if (_count[block] == _blockTokens) _byName.Remove(_name[block]);
        var (next, previous) = (_next[block], _previous[block]);
        if (next >= 0) _previous[next] = previous;
        if (previous >= 0) _next[previous] = next;
        else if (next >= 0) _firstFollower[_parent[block]] = next;
        else _firstFollower.Remove(_parent[block]);
        (_name[block], _count[block]) = (0, 0);
    }

    /// <summary>The tokens that a block holds.</summary>
    public ReadOnlySpan<int> Tokens(int block) => _tokens.AsSpan(block * _blockTokens, _count[block]);
}
