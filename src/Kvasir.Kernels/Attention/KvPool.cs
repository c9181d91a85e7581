namespace Kvasir.Kernels;

/// <summary>The KV blocks of one layer, in memory of the caller's that starts zeroed.</summary>
public sealed unsafe class KvPool
{
    private readonly byte* _keys;
    private readonly byte* _values;

    /// <param name="layout">Shape of a block.</param>
    /// <param name="blocks">Number of blocks.</param>
    /// <param name="keys">At least <paramref name="blocks"/> · <see cref="KvLayout.KeyBlockBytes"/>.</param>
    /// <param name="values">At least <paramref name="blocks"/> · <see cref="KvLayout.ValueBlockBytes"/>.</param>
    public KvPool(KvLayout layout, int blocks, NativeSlice keys, NativeSlice values)
    {
        if (keys.Bytes < blocks * layout.KeyBlockBytes || values.Bytes < blocks * layout.ValueBlockBytes)
            throw new ArgumentException($"{blocks} blocks need {blocks * layout.KeyBlockBytes} + {blocks * layout.ValueBlockBytes} bytes, not {keys.Bytes} + {values.Bytes}.");
        (Layout, Blocks) = (layout, blocks);
        KernelCatalog.Current.Warm(layout.Format);
        _keys = keys.Start;
        _values = values.Start;
    }

    /// <summary>Shape of a block.</summary>
    public KvLayout Layout { get; }

    /// <summary>Number of blocks.</summary>
    public int Blocks { get; }

    /// <summary>Stores keys and values of a step's tokens. Every worker calls it; tokens are split evenly; a barrier must follow.</summary>
    /// <param name="worker">The calling worker.</param>
    /// <param name="keys">[tokens, heads · key size].</param>
    /// <param name="values">[tokens, heads · value size].</param>
    /// <param name="slots">Per token: block · 16 + place in the block.</param>
    public void Write(Worker worker, FloatMatrix keys, FloatMatrix values, ReadOnlySpan<int> slots)
    {
        keys.RequireShape(slots.Length, Layout.KvHeads * Layout.KeySize, nameof(keys));
        values.RequireShape(slots.Length, Layout.KvHeads * Layout.ValueSize, nameof(values));
        var (first, count) = worker.Share(slots.Length);
        for (var token = first; token < first + count; token++)
        {
            var (block, place) = (slots[token] / KvLayout.BlockTokens, slots[token] % KvLayout.BlockTokens);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)block, (uint)Blocks, nameof(slots));
            for (var head = 0; head < Layout.KvHeads; head++)
            {
                KvRow.PutKey(Layout.Format.Keys, KeyHead(block, head), place, keys.RowStart(token) + head * Layout.KeySize, Layout.KeySize);
                KvRow.PutValue(Layout.Format.Values, ValueHead(block, head), place, values.RowStart(token) + head * Layout.ValueSize, Layout.ValueSize);
            }
        }
    }

    /// <summary>Copies a block's keys and values to another block.</summary>
    public void Copy(int from, int to)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)from, (uint)Blocks, nameof(from));
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)to, (uint)Blocks, nameof(to));
        var (keyBytes, valueBytes) = (Layout.KeyBlockBytes, Layout.ValueBlockBytes);
        Buffer.MemoryCopy(_keys + from * keyBytes, _keys + to * keyBytes, keyBytes, keyBytes);
        Buffer.MemoryCopy(_values + from * valueBytes, _values + to * valueBytes, valueBytes, valueBytes);
    }

    /// <summary>Writes a block's keys, then its values, as they are stored.</summary>
    /// <param name="block">Its number.</param>
    /// <param name="to"><see cref="KvLayout.BlockBytes"/> bytes.</param>
    public void Save(int block, Span<byte> to)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)block, (uint)Blocks, nameof(block));
        Keys(block).CopyTo(to);
        Values(block).CopyTo(to[(int)Layout.KeyBlockBytes..]);
    }

    /// <summary>The reverse of <see cref="Save"/>.</summary>
    public void Load(int block, ReadOnlySpan<byte> from)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)block, (uint)Blocks, nameof(block));
        ArgumentOutOfRangeException.ThrowIfNotEqual(from.Length, Layout.BlockBytes);
        from[..(int)Layout.KeyBlockBytes].CopyTo(Keys(block));
        from[(int)Layout.KeyBlockBytes..].CopyTo(Values(block));
    }

    internal byte* KeyHead(int block, int head) => _keys + block * Layout.KeyBlockBytes + head * Layout.KeyHeadBytes;

    internal byte* ValueHead(int block, int head) => _values + block * Layout.ValueBlockBytes + head * Layout.ValueHeadBytes;

    private Span<byte> Keys(int block) => new(KeyHead(block, 0), (int)Layout.KeyBlockBytes);

    private Span<byte> Values(int block) => new(ValueHead(block, 0), (int)Layout.ValueBlockBytes);
}
