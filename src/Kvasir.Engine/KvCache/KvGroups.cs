using System.Collections.Immutable;
using Kvasir.Checkpoints;
using Kvasir.Kernels;

namespace Kvasir.Engine.KvCache;

/// <summary>
/// How a model's layers share the KV cache. Layers that see all tokens and layers that see a window are in different
/// groups, of equally many layers: a block holds 16 tokens of one group, any block serves any group, and what a window
/// has passed is given back. Where one window (or none) holds for all layers, they are one group. Books alone may have
/// blocks of any size.
/// </summary>
/// <remarks>
/// Layers of one kind may not divide into groups evenly; the places left over are lost. The group size is that which
/// loses least, a place in a window's group counting half, for it is lost only as often as windows are not full.
/// </remarks>
internal sealed class KvGroups
{
    /// <summary>Most groups: a block's name has four bits for its group.</summary>
    private const int Most = 16;

    private static readonly UInt128 GroupBits = Most - 1;

    private readonly ImmutableArray<int> _windows;

    private KvGroups(ImmutableArray<int> windows, ImmutableArray<KvLayout> places, ImmutableArray<(int Group, int Place)> layers, int ahead, int blockTokens = BlockTable.BlockTokens)
    {
        (_windows, Places, Layers, Ahead, BlockTokens) = (windows, places, layers, ahead, blockTokens);
        BlockBytes = places.Sum(place => place.BlockBytes);
        HasWindows = windows.Any(window => window > 0);
    }

    /// <summary>One group of layers that see all tokens.</summary>
    /// <param name="places">Its layers' blocks.</param>
    public static KvGroups One(params ImmutableArray<KvLayout> places) => new([0], places, [.. places.Select((_, place) => (0, place))], 0);

    /// <summary>One group that sees all tokens and stores none of them: for books without keys and values.</summary>
    /// <param name="blockTokens">Tokens per block.</param>
    public static KvGroups WithoutLayers(int blockTokens) => new([0], [], [], 0, blockTokens);

    /// <summary>Tokens per block, the same in all groups.</summary>
    public int BlockTokens { get; }

    /// <summary>How many groups there are; those without a window come first.</summary>
    public int Count => _windows.Length;

    /// <summary>Whether there is a group with a window.</summary>
    public bool HasWindows { get; }

    /// <summary>The layouts of the layers in a block.</summary>
    public ImmutableArray<KvLayout> Places { get; }

    /// <summary>Per layer its group, and its place in the group's blocks.</summary>
    public ImmutableArray<(int Group, int Place)> Layers { get; }

    /// <summary>Tokens beyond the computed ones for which a group with a window has blocks: those of a step.</summary>
    public int Ahead { get; }

    /// <summary>Bytes of a block.</summary>
    public long BlockBytes { get; }

    /// <summary>The groups of a model's layers.</summary>
    /// <param name="spec">The model.</param>
    /// <param name="format">How keys and values are stored.</param>
    /// <param name="ahead">Most tokens of a sequence in one step.</param>
    public static KvGroups For(ModelSpec spec, KvFormats format, int ahead)
    {
        var attention = spec.Layers.Select(layer => (AttentionSpec)layer.Mixer).ToArray();
        var layouts = attention.Select(layer => new KvLayout(layer.KeyValueHeads, layer.HeadSize, layer.ValueHeadSize, format)).ToImmutableArray();
        var kinds = attention.Select(layer => layer.SlidingWindow ?? 0).Distinct().Order().ToArray();
        // Blocks of layers of unlike shapes are not alike: then all layers keep what the widest of them needs.
        if (kinds.Length == 1 || layouts.Distinct().Count() > 1)
            return new KvGroups([kinds[0] == 0 ? 0 : kinds[^1]], layouts, [.. layouts.Select((_, place) => (0, place))], ahead);
        var size = Size([.. kinds.Select(kind => attention.Count(layer => (layer.SlidingWindow ?? 0) == kind))], kinds[0] == 0);
        var (windows, layers) = (ImmutableArray.CreateBuilder<int>(), new (int, int)[attention.Length]);
        foreach (var kind in kinds)
        {
            var (first, number) = (windows.Count, 0);
            for (var i = 0; i < attention.Length; i++)
                if ((attention[i].SlidingWindow ?? 0) == kind) layers[i] = (first + (number / size), number++ % size);
            windows.AddRange(Enumerable.Repeat(kind, (number + size - 1) / size));
        }
        return new KvGroups(windows.ToImmutable(), layouts[..size], [.. layers], ahead);
    }

    /// <summary>The first block that a group needs for computing the token at a position.</summary>
    public int First(int group, int position) => _windows[group] == 0 ? 0 : Math.Max(0, position - _windows[group] + 1) / BlockTokens;

    /// <summary>Blocks up to which a group is to be filled for so many tokens in all, of which so many are computed.</summary>
    public int End(int group, int tokens, int computed) =>
        BlocksFor(_windows[group] == 0 ? tokens : (int)Math.Min(tokens, (long)computed + Ahead));

    /// <summary>Blocks needed for a number of tokens in one group that sees all of them.</summary>
    public int BlocksFor(int tokens) => (tokens + BlockTokens - 1) / BlockTokens;

    /// <summary>Whether a group gives back what its window has passed.</summary>
    public bool IsWindowed(int group) => _windows[group] > 0;

    /// <summary>Most blocks, in all groups, that a sequence of so many tokens holds at a time.</summary>
    public int Blocks(int tokens)
    {
        var (all, most) = (BlocksFor(tokens), 0);
        foreach (var window in _windows)
            most += window == 0 ? all : (int)Math.Min(all, (((long)window - 1 + Ahead + BlockTokens - 1) / BlockTokens) + 1);
        return most;
    }

    /// <summary>Tokens of the longest sequence that fits into so many blocks.</summary>
    public int Tokens(int blocks)
    {
        var (low, high) = (0, (int.MaxValue - BlockTokens + 1) / BlockTokens);
        while (low < high)
        {
            var middle = high - ((high - low) / 2);
            if (Blocks(middle * BlockTokens) <= blocks) low = middle;
            else high = middle - 1;
        }
        return low * BlockTokens;
    }

    /// <summary>The name of a group's block, from the name of the tokens and what is before them.</summary>
    public static UInt128 Name(UInt128 block, int group) => block | (UInt128)group;

    /// <summary>The reverse of <see cref="Name(UInt128, int)"/>: what names the block in all groups.</summary>
    public static UInt128 Block(UInt128 name) => name & ~GroupBits;

    /// <summary>The group that a name is of.</summary>
    public static int Group(UInt128 name) => (int)(name & GroupBits);

    /// <summary>Layers per group that lose the fewest places, the most such ones.</summary>
    private static int Size(int[] layers, bool firstSeesAll)
    {
        var (best, least) = (layers.Max(), double.MaxValue);
        for (var size = layers.Max(); size > 0; size--)
        {
            var groups = layers.Select(count => (count + size - 1) / size).ToArray();
            if (groups.Sum() > Most) break;
            var places = groups.Select((count, kind) => (kind == 0 && firstSeesAll ? 1 : 0.5) * count * size).Sum();
            if (places < least) (best, least) = (size, places);
        }
        return best;
    }
}
