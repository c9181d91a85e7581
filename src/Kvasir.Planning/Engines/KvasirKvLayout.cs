using System.Collections.Immutable;
using Kvasir.Checkpoints;

namespace Kvasir.Planning.Engines;

/// <summary>
/// The cache of Kvasir's own engine: blocks of 16 tokens of one group of layers. Layers that see a window are in groups
/// of their own, which keep no more than the window and a step; groups are equally large, so that any block serves any.
/// </summary>
public sealed record KvasirKvLayout : KvLayout
{
    private const int MostGroups = 16;

    /// <summary>Each group's window in tokens; 0 where its layers see all tokens.</summary>
    public required ImmutableArray<int> Windows { get; init; }
    /// <summary>Bytes of a block.</summary>
    public required long BlockBytes { get; init; }
    /// <summary>Most tokens of a sequence in one step.</summary>
    public required int StepTokens { get; init; }

    /// <summary>Most blocks that a sequence of so many tokens holds at a time.</summary>
    public long Blocks(long tokens) => Windows.Sum(window => window == 0 ? Ceiling(tokens) : Math.Min(Ceiling(tokens), Ceiling(window - 1L + StepTokens) + 1));

    /// <inheritdoc/>
    public override long RequestBytes(long tokens) => Blocks(tokens) * BlockBytes;

    /// <inheritdoc/>
    public override long CapacityTokens(long poolBytes, long context) => Math.Max(0, poolBytes) / BlockBytes / Windows.Length * KvasirConstants.BlockTokens;

    /// <summary>The layout for a model.</summary>
    /// <param name="layers">Its layers.</param>
    /// <param name="bytes">Bytes of a layer's 16 tokens.</param>
    /// <param name="stepTokens">Most tokens of a sequence in one step.</param>
    internal static KvasirKvLayout Of(IReadOnlyList<AttentionSpec> layers, Func<AttentionSpec, long> bytes, int stepTokens)
    {
        var kinds = layers.GroupBy(layer => layer.SlidingWindow ?? 0).OrderBy(kind => kind.Key).Select(kind => (Window: kind.Key, Layers: kind.Count())).ToArray();
        var mixed = kinds.Length > 1 && layers.DistinctBy(layer => (layer.KeyValueHeads, layer.HeadSize, layer.ValueHeadSize)).Count() == 1;
        var size = mixed ? GroupSize(kinds) : layers.Count;
        ImmutableArray<int> windows = mixed
            ? [.. kinds.SelectMany(kind => Enumerable.Repeat(kind.Window, Groups(kind.Layers, size)))]
            : [kinds[0].Window == 0 ? 0 : kinds[^1].Window];
        var block = mixed ? size * bytes(layers[0]) : layers.Sum(bytes);
        return new KvasirKvLayout { Windows = windows, BlockBytes = block, BytesPerToken = windows.Length * block / KvasirConstants.BlockTokens, StepTokens = stepTokens };
    }

    /// <summary>Layers per group, such that the fewest places stay empty: those of windows count half.</summary>
    private static int GroupSize((int Window, int Layers)[] kinds) =>
        Enumerable.Range(1, kinds.Max(kind => kind.Layers)).Where(size => kinds.Sum(kind => Groups(kind.Layers, size)) <= MostGroups)
            .OrderBy(size => kinds.Sum(kind => Groups(kind.Layers, size) * size * (kind.Window == 0 ? 2 : 1))).ThenByDescending(size => size).First();

    private static int Groups(int layers, int size) => (layers + size - 1) / size;

    private static long Ceiling(long tokens) => (tokens + KvasirConstants.BlockTokens - 1) / KvasirConstants.BlockTokens;
}
