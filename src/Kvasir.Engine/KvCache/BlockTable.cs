using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Protocol;

namespace Kvasir.Engine.KvCache;

/// <summary>
/// The blocks of one sequence, in order: token i lies in block i / 16 at place i % 16; and the names of the blocks that
/// its tokens fill, whether they are computed yet or not.
/// </summary>
public sealed class BlockTable
{
    /// <summary>Tokens per block.</summary>
    public const int BlockTokens = 16;

    private readonly BlockPool _pool;
    private int[] _blocks = new int[8];
    private UInt128[] _names = new UInt128[8];
    private int _named;

    /// <param name="pool">Where blocks come from and go back to.</param>
    /// <param name="root">What the first block's name is derived from: tokens are shared under equal roots alone.</param>
    public BlockTable(BlockPool pool, UInt128 root = default) => (_pool, Root) = (pool, root);

    /// <summary>Blocks held.</summary>
    public int Count { get; private set; }

    /// <summary>The blocks' numbers.</summary>
    public ReadOnlySpan<int> Blocks => _blocks.AsSpan(0, Count);

    /// <summary>Parent of the first block.</summary>
    public UInt128 Root { get; }

    /// <summary>Blocks, from the first, that are in the index under their names.</summary>
    internal int Listed { get; set; }

    /// <summary>Blocks, from the first, that are shared or shall be loaded from a tier.</summary>
    internal int Loadable { get; set; }

    /// <summary>What is being fetched for the sequence; null before it was asked for and where nothing is.</summary>
    internal RemoteFetch? Fetch { get; set; }

    /// <summary>Whether a remote tier was asked already.</summary>
    internal bool HasAsked { get; set; }

    /// <summary>Whether nothing that is in it shall be shared or kept.</summary>
    internal bool IsDisowned { get; set; }

    /// <summary>How long its blocks are wanted after it; null for no hint.</summary>
    internal KvRetention? Retention { get; init; }

    /// <summary>Names announced as being computed: [from, to) of the sequence's blocks.</summary>
    internal (int From, int To) Announced { get; set; }

    /// <summary>Blocks needed for a number of tokens.</summary>
    public static int BlocksFor(int tokens) => (tokens + BlockTokens - 1) / BlockTokens;

    /// <summary>Further blocks that <paramref name="tokens"/> tokens in all would take.</summary>
    public int Missing(int tokens) => Math.Max(0, BlocksFor(tokens) - Count);

    /// <summary>Takes blocks until <paramref name="tokens"/> tokens fit: all of them, or none and false.</summary>
    public bool TryGrow(int tokens)
    {
        var missing = Missing(tokens);
        if (missing > _pool.Free) return false;
        for (; missing > 0; missing--)
        {
            if (!_pool.TryTake(out var block)) throw new InvalidOperationException("The pool broke its word about free blocks.");
            Append(block);
        }
        return true;
    }

    /// <summary>The slot of a token: block · 16 + place.</summary>
    public int Slot(int position) => _blocks[position / BlockTokens] * BlockTokens + position % BlockTokens;

    /// <summary>Gives every block back, the last one first, so that a sequence's start is reused last.</summary>
    public void Clear()
    {
        for (; Count > 0; Count--) _pool.Return(_blocks[Count - 1], Count <= Listed ? _names[Count - 1] : default);
        (Listed, Loadable, IsDisowned) = (0, 0, false);
    }

    /// <summary>The name of a block that the sequence's <paramref name="tokens"/> fill.</summary>
    internal UInt128 Name(int index, ReadOnlySpan<int> tokens)
    {
        if (index >= _names.Length) Array.Resize(ref _names, Math.Max(tokens.Length / BlockTokens, _names.Length * 2));
        for (; _named <= index; _named++)
            _names[_named] = BlockHash.Next(Parent(_named), tokens.Slice(_named * BlockTokens, BlockTokens));
        return _names[index];
    }

    /// <summary>The name of what stands before a block; names up to it must be known.</summary>
    internal UInt128 Parent(int index) => index == 0 ? Root : _names[index - 1];

    /// <summary>Adds a block that the pool shares already.</summary>
    internal void Append(int block)
    {
        if (Count == _blocks.Length) Array.Resize(ref _blocks, Count * 2);
        _blocks[Count++] = block;
    }

    /// <summary>Puts another block, shared already, in the place of one, which goes back.</summary>
    internal void Replace(int index, int block)
    {
        _pool.Return(_blocks[index]);
        _blocks[index] = block;
    }
}
