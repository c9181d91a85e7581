namespace Kvasir.Engine.KvCache;

/// <summary>The blocks of one sequence, in order: token i lies in block i / 16 at place i % 16.</summary>
public sealed class BlockTable
{
    /// <summary>Tokens per block.</summary>
    public const int BlockTokens = 16;

    private readonly BlockPool _pool;
    private int[] _blocks = new int[8];

    /// <param name="pool">Where blocks come from and go back to.</param>
    public BlockTable(BlockPool pool) => _pool = pool;

    /// <summary>Blocks held.</summary>
    public int Count { get; private set; }

    /// <summary>The blocks' numbers.</summary>
    public ReadOnlySpan<int> Blocks => _blocks.AsSpan(0, Count);

    /// <summary>Blocks needed for a number of tokens.</summary>
    public static int BlocksFor(int tokens) => (tokens + BlockTokens - 1) / BlockTokens;

    /// <summary>Further blocks that <paramref name="tokens"/> tokens in all would take.</summary>
    public int Missing(int tokens) => Math.Max(0, BlocksFor(tokens) - Count);

    /// <summary>Takes blocks until <paramref name="tokens"/> tokens fit: all of them, or none and false.</summary>
    public bool TryGrow(int tokens)
    {
        var missing = Missing(tokens);
        if (missing > _pool.Free) return false;
        if (Count + missing > _blocks.Length) Array.Resize(ref _blocks, Math.Max(Count + missing, _blocks.Length * 2));
        for (; missing > 0; missing--)
        {
            if (!_pool.TryTake(out var block)) throw new InvalidOperationException("The pool broke its word about free blocks.");
            _blocks[Count++] = block;
        }
        return true;
    }

    /// <summary>The slot of a token: block · 16 + place.</summary>
    public int Slot(int position) => _blocks[position / BlockTokens] * BlockTokens + position % BlockTokens;

    /// <summary>Gives every block back, the last one first, so that a sequence's start is reused last.</summary>
    public void Clear()
    {
        while (Count > 0) _pool.Return(_blocks[--Count]);
    }
}
