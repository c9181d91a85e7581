using Kvasir.Checkpoints;
using Kvasir.Kernels;

namespace Kvasir.Engine.KvCache;

/// <summary>The keys and values of all layers, addressed by block. The memory is the caller's.</summary>
internal sealed class KvMemory
{
    /// <param name="layouts">The layers' blocks.</param>
    /// <param name="blocks">Number of blocks.</param>
    /// <param name="memory">At least <paramref name="blocks"/> times the bytes of a block in all layers, zeroed.</param>
    public KvMemory(IReadOnlyList<KvLayout> layouts, int blocks, NativeSlice memory)
    {
        var offset = 0L;
        Layers = [.. layouts.Select(layout =>
        {
            var (keyBytes, valueBytes) = (blocks * layout.KeyBlockBytes, blocks * layout.ValueBlockBytes);
            var pool = new KvPool(layout, blocks, memory.Slice(offset, keyBytes), memory.Slice(offset + keyBytes, valueBytes));
            offset += keyBytes + valueBytes;
            return pool;
        })];
        BlockBytes = (int)layouts.Sum(layout => layout.BlockBytes);
    }

    /// <summary>The pool of each layer.</summary>
    public KvPool[] Layers { get; }

    /// <summary>Bytes of one block in all layers.</summary>
    public int BlockBytes { get; }

    /// <summary>The blocks of a model's layers.</summary>
    public static KvLayout[] Layouts(ModelSpec spec, KvFormats format) => [.. spec.Layers.Select(layer => (AttentionSpec)layer.Mixer)
        .Select(attention => new KvLayout(attention.KeyValueHeads, attention.HeadSize, attention.ValueHeadSize, format))];

    /// <summary>Copies a block to another.</summary>
    public void Copy(int from, int to)
    {
        foreach (var layer in Layers) layer.Copy(from, to);
    }

    /// <summary>Writes a block, layer after layer, into <see cref="BlockBytes"/> bytes.</summary>
    public void Save(int block, Span<byte> to)
    {
        foreach (var layer in Layers)
        {
            var bytes = (int)layer.Layout.BlockBytes;
            layer.Save(block, to[..bytes]);
            to = to[bytes..];
        }
    }

    /// <summary>The reverse of <see cref="Save"/>.</summary>
    public void Load(int block, ReadOnlySpan<byte> from)
    {
        foreach (var layer in Layers)
        {
            var bytes = (int)layer.Layout.BlockBytes;
            layer.Load(block, from[..bytes]);
            from = from[bytes..];
        }
    }
}
