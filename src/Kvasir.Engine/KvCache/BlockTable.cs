using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Protocol;

namespace Kvasir.Engine.KvCache;

/// <summary>
/// The blocks of one sequence, in order, for each group of layers: token i lies in block i / 16 at place i % 16 (books
/// without keys and values may have blocks of another size); and the names of the blocks that its tokens fill, whether
/// they are computed yet or not. A group with a window has gaps where the window has passed, or shall never be.
/// </summary>
public sealed class BlockTable
{
    /// <summary>Tokens per block that holds keys and values. A constant: what computes finds tokens by shifts.</summary>
    public const int BlockTokens = 16;

    /// <summary>In the place of a block that is not held.</summary>
    private const int None = -1;

    private readonly BlockPool _pool;
    private readonly int[][] _blocks;
    private readonly int[] _counts;
    private readonly int[] _passed;
    private UInt128[] _names = new UInt128[8];
    private int _named;
    private bool _hasGaps;

    internal BlockTable(BlockPool pool, KvGroups groups, UInt128 root = default)
    {
        (_pool, Groups, Root) = (pool, groups, KvGroups.Block(root));
        (_blocks, _counts, _passed) = (new int[groups.Count][], new int[groups.Count], new int[groups.Count]);
        _blocks.AsSpan().Fill([]);
    }

    /// <summary>The groups of layers.</summary>
    internal KvGroups Groups { get; }

    /// <summary>Blocks held, in all groups.</summary>
    public int Held { get; private set; }

    /// <summary>Parent of the first block.</summary>
    public UInt128 Root { get; }

    /// <summary>Blocks, from the first, that are in the index under their names.</summary>
    internal int Listed { get; set; }

    /// <summary>Blocks, from the first, that are shared or were loaded from a tier.</summary>
    internal int Loaded { get; set; }

    /// <summary>Groups whose part of the block after those is loaded already.</summary>
    internal int LoadedGroups { get; set; }

    /// <summary>Blocks, from the first, whose reading has begun where it takes time.</summary>
    internal int Begun { get; set; }

    /// <summary>Blocks, from the first, that are shared or shall be loaded from a tier.</summary>
    internal int Loadable { get; set; }

    /// <summary>Timestamp until which it waits for what is read; 0 before it had to wait.</summary>
    internal long WaitsUntil { get; set; }

    /// <summary>What is being fetched for the sequence; null before it was asked for and where nothing is.</summary>
    internal RemoteFetch? Fetch { get; set; }

    /// <summary>Whether a remote tier was asked already.</summary>
    internal bool HasAsked { get; set; }

    /// <summary>Whether nothing that is in it shall be shared or kept.</summary>
    internal bool IsDisowned { get; set; }

    /// <summary>Digest of the tenant on whose account its blocks are kept; 0 for nobody's.</summary>
    internal ulong Owner { get; init; }

    /// <summary>How long its blocks are wanted after it; null for no hint.</summary>
    internal KvRetention? Retention { get; init; }

    /// <summary>Names announced as being computed: [from, to) of the sequence's blocks.</summary>
    internal (int From, int To) Announced { get; set; }

    /// <summary>Blocks of keys and values needed for a number of tokens in one group that sees all of them.</summary>
    public static int BlocksFor(int tokens) => (tokens + BlockTokens - 1) / BlockTokens;

    /// <summary>The numbers of a group's blocks, from the sequence's first on; negative where none is held.</summary>
    public ReadOnlySpan<int> Blocks(int group) => _blocks[group].AsSpan(0, _counts[group]);

    /// <summary>The block of a group at a place of the sequence; false where none is held.</summary>
    internal bool TryGet(int group, int index, out int block)
    {
        block = index < _counts[group] ? _blocks[group][index] : None;
        return block >= 0;
    }

    /// <summary>All blocks held.</summary>
    public IEnumerable<int> AllHeld() => _blocks.SelectMany((blocks, group) => blocks.Take(_counts[group])).Where(block => block >= 0);

    /// <summary>Takes blocks until <paramref name="tokens"/> tokens fit, in groups with a window those of the next step: all of them, or none and false.</summary>
    /// <param name="tokens">Tokens in all.</param>
    /// <param name="computed">How many of them need no more than what is held.</param>
    public bool TryGrow(int tokens, int computed)
    {
        var missing = 0;
        for (var group = 0; group < Groups.Count; group++)
            for (var i = FirstMissing(group, computed); i < Groups.End(group, tokens, computed); i++)
                if (!TryGet(group, i, out _)) missing++;
        if (missing > _pool.Free) return false;
        for (var group = 0; group < Groups.Count; group++) Fill(group, FirstMissing(group, computed), Groups.End(group, tokens, computed));
        _hasGaps = false;
        return true;
    }

    /// <summary>Takes a group's blocks of [from, to) that are not held; the pool must have them.</summary>
    internal void Fill(int group, int from, int to)
    {
        for (var i = from; i < to; i++)
        {
            if (TryGet(group, i, out _)) continue;
            if (!_pool.TryTake(out var block)) throw new InvalidOperationException("The pool broke its word about free blocks.");
            Put(group, i, block);
        }
    }

    /// <summary>The slot of a token in a group: block · 16 + place.</summary>
    public int Slot(int group, int position) => _blocks[group][position / BlockTokens] * BlockTokens + position % BlockTokens;

    /// <summary>Gives every block back, the last one first, so that a sequence's start is reused last.</summary>
    public void Clear()
    {
        for (var i = _counts.Max() - 1; i >= 0 && Held > 0; i--)
            for (var group = 0; group < Groups.Count; group++) GiveBack(group, i);
        _counts.AsSpan().Clear();
        _passed.AsSpan().Clear();
        (Listed, Loaded, LoadedGroups, Begun, Loadable, WaitsUntil, IsDisowned, _hasGaps) = (0, 0, 0, 0, 0, 0, false, false);
    }

    /// <summary>The name of a block that the sequence's <paramref name="tokens"/> fill, the same in all groups.</summary>
    internal UInt128 Name(int index, ReadOnlySpan<int> tokens)
    {
        var size = Groups.BlockTokens;
        if (index >= _names.Length) Array.Resize(ref _names, Math.Max(tokens.Length / size, _names.Length * 2));
        for (; _named <= index; _named++)
            _names[_named] = KvGroups.Block(BlockHash.Next(Parent(_named), tokens.Slice(_named * size, size)));
        return _names[index];
    }

    /// <summary>The name of what stands before a block; names up to it must be known.</summary>
    internal UInt128 Parent(int index) => index == 0 ? Root : _names[index - 1];

    /// <summary>What a group's block holds when the sequence's <paramref name="tokens"/> fill it.</summary>
    internal BlockLabel Label(int group, int index, ReadOnlySpan<int> tokens) =>
        new(KvGroups.Name(Name(index, tokens), group), KvGroups.Name(Parent(index), group), tokens.Slice(index * Groups.BlockTokens, Groups.BlockTokens));

    /// <summary>Puts a block that the pool has given, or shares already, where none is held.</summary>
    internal void Put(int group, int index, int block)
    {
        if (index >= _blocks[group].Length) Array.Resize(ref _blocks[group], Math.Max(8, Math.Max(index + 1, index * 2)));
        if (index > _counts[group])
        {
            _blocks[group].AsSpan(_counts[group]..index).Fill(None);
            _hasGaps = true;
        }
        _blocks[group][index] = block;
        _counts[group] = Math.Max(_counts[group], index + 1);
        Held++;
    }

    /// <summary>Puts another block, shared already, in the place of one, which goes back.</summary>
    internal void Replace(int group, int index, int block)
    {
        _pool.Return(_blocks[group][index]);
        _blocks[group][index] = block;
    }

    /// <summary>Gives back the blocks of groups with a window that nothing from a position on needs.</summary>
    /// <param name="position">Position of the next token to compute.</param>
    /// <param name="leaving">Told of each listed one before.</param>
    internal void Pass(int position, Action<BlockTable, int> leaving)
    {
        for (var group = 0; group < Groups.Count; group++)
        {
            for (var end = Math.Min(Groups.First(group, position), _counts[group]); _passed[group] < end; _passed[group]++)
            {
                if (!TryGet(group, _passed[group], out var block)) continue;
                if (_passed[group] < Listed) leaving(this, block);
                GiveBack(group, _passed[group]);
            }
        }
    }

    private void GiveBack(int group, int index)
    {
        if (!TryGet(group, index, out var block)) return;
        _pool.Return(block, index < Listed ? KvGroups.Name(_names[index], group) : default);
        _blocks[group][index] = None;
        Held--;
    }

    /// <summary>Where blocks may be missing: after the last one, unless there are gaps.</summary>
    private int FirstMissing(int group, int computed) => _hasGaps ? Groups.First(group, computed) : Math.Max(_counts[group], Groups.First(group, computed));
}

/// <summary>What a full block of a group holds.</summary>
/// <param name="name">Its name.</param>
/// <param name="parent">The name of what it follows, in the same group.</param>
/// <param name="tokens">Its tokens.</param>
internal readonly ref struct BlockLabel(UInt128 name, UInt128 parent, ReadOnlySpan<int> tokens)
{
    public UInt128 Name { get; } = name;
    public UInt128 Parent { get; } = parent;
    public ReadOnlySpan<int> Tokens { get; } = tokens;
}
