using System.Collections.Immutable;
using Kvasir.Kernels;

namespace Kvasir.Engine.KvCache;

/// <summary>Where a layer's keys and values are.</summary>
/// <param name="Pool">The blocks.</param>
/// <param name="Group">Whose numbers of the blocks hold for the layer.</param>
internal readonly record struct LayerKv(KvPool Pool, int Group);

/// <summary>The keys and values of all layers, addressed by block. The memory is the caller's.</summary>
internal sealed class KvMemory
{
    private readonly KvPool[] _places;

    /// <param name="groups">How layers share blocks.</param>
    /// <param name="blocks">Number of blocks.</param>
    /// <param name="memory">At least <paramref name="blocks"/> times the bytes of a block, zeroed.</param>
    public KvMemory(KvGroups groups, int blocks, NativeSlice memory)
    {
        var offset = 0L;
        _places = [.. groups.Places.Select(layout =>
        {
            var (keyBytes, valueBytes) = (blocks * layout.KeyBlockBytes, blocks * layout.ValueBlockBytes);
            var pool = new KvPool(layout, blocks, memory.Slice(offset, keyBytes), memory.Slice(offset + keyBytes, valueBytes));
            offset += keyBytes + valueBytes;
            return pool;
        })];
        Layers = [.. groups.Layers.Select(layer => new LayerKv(_places[layer.Place], layer.Group))];
        BlockBytes = (int)groups.BlockBytes;
    }

    /// <summary>Where each layer's are.</summary>
    public ImmutableArray<LayerKv> Layers { get; }

    /// <summary>Bytes of a block.</summary>
    public int BlockBytes { get; }

    /// <summary>Copies a block to another.</summary>
    public void Copy(int from, int to)
    {
        foreach (var place in _places) place.Copy(from, to);
    }

    /// <summary>Writes a block, place after place, into <see cref="BlockBytes"/> bytes.</summary>
    public void Save(int block, Span<byte> to)
    {
        foreach (var place in _places)
        {
            var bytes = (int)place.Layout.BlockBytes;
            place.Save(block, to[..bytes]);
            to = to[bytes..];
        }
    }

    /// <summary>The reverse of <see cref="Save"/>.</summary>
    public void Load(int block, ReadOnlySpan<byte> from)
    {
        foreach (var place in _places)
        {
            var bytes = (int)place.Layout.BlockBytes;
            place.Load(block, from[..bytes]);
            from = from[bytes..];
        }
    }
}
