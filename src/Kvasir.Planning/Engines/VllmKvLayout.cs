using System.Collections.Immutable;
using Kvasir.Checkpoints;
using Kvasir.Planning.KvCache;

namespace Kvasir.Planning.Engines;

/// <summary>Layers of one kind that share block ids.</summary>
/// <param name="Window">Tokens kept, or null for all.</param>
/// <param name="Chunked">The window is a chunk of fixed borders.</param>
/// <param name="State">One block per request, whatever its length.</param>
/// <param name="Groups">Groups of layers, each with blocks of its own.</param>
/// <param name="BlockTokens">Tokens per block.</param>
public sealed record VllmKvGroup(int? Window, bool Chunked, bool State, int Groups, int BlockTokens);

/// <summary>
/// vLLM's cache (memory model §3.1): block ids that cost the same bytes for every group of layers; layers of several
/// kinds are cut into groups of equal size, padded where they do not divide.
/// </summary>
public sealed record VllmKvLayout : KvLayout
{
    private const int DefaultBlockTokens = 16;

    /// <summary>Groups of layers.</summary>
    public required ImmutableArray<VllmKvGroup> Groups { get; init; }
    /// <summary>Bytes of one block id on one GPU, over the layers of a group.</summary>
    public required long BlockBytes { get; init; }
    /// <summary>Tokens computed at once, which windows must hold besides.</summary>
    public required long InFlightTokens { get; init; }
    /// <summary>Whether the engine prints concurrency × context as its capacity.</summary>
    public required bool PrintsConcurrency { get; init; }
    /// <summary>Blocks that a request holds per group of state layers.</summary>
    public int StateBlocks { get; init; } = 1;
    /// <summary>Share of the pool that padding layers waste.</summary>
    public double PaddingShare { get; init; }

    /// <inheritdoc/>
    public override long RequestBytes(long tokens) => RequestBlocks(tokens) * BlockBytes;

    /// <inheritdoc/>
    public override long CapacityTokens(long poolBytes, long context)
    {
        var blocks = Math.Max(0, poolBytes) / BlockBytes;
        if (Groups.Sum(group => group.Groups) == 1) return blocks * Groups[0].BlockTokens;
        var perGroup = blocks / Groups.Sum(group => group.Groups) * Groups.Min(group => group.BlockTokens);
        return PrintsConcurrency ? (long)((double)blocks / RequestBlocks(context) * context) : perGroup;
    }

    private long RequestBlocks(long tokens) => Groups.Sum(group => group.Groups * group switch
    {
        { State: true } => StateBlocks,
        { Window: not { } } => Ceiling(tokens, group.BlockTokens),
        { Chunked: true } => Ceiling(Math.Min(group.Window.Value + InFlightTokens, tokens), group.BlockTokens),
        _ => Ceiling(Math.Min(group.Window.Value - 1 + InFlightTokens, tokens), group.BlockTokens) + 1,
    });

    internal static VllmKvLayout Of(ModelSpec model, ServingOptions options, int batchedTokens, VllmConstants constants, bool aligned)
    {
        var tensor = options.Parallelism.Tensor;
        var stage = LargestStage(KvShape.Layers(model, options.KvType, tensor), options);
        if (aligned && model.Layers.Any(layer => layer.Mixer is LatentAttentionSpec))
            stage = [.. stage.Select(layer => layer with { BytesPerToken = Ceiling(layer.BytesPerToken, VllmConstants.LatentAlignment) * VllmConstants.LatentAlignment })];
        var attention = stage.Where(layer => layer.BytesPerToken > 0).ToList();
        var states = stage.Where(layer => layer.BytesPerSequence > 0 && layer.BytesPerToken == 0).ToList();
        var perToken = attention.Sum(layer => layer.BytesPerToken) + (KvShape.IndexerBytesPerToken(model) / Math.Max(1, options.Parallelism.Pipeline));
        var latent = model.Layers.Any(layer => layer.Mixer is LatentAttentionSpec);
        var block = options.BlockSize ?? (latent ? 64 : DefaultBlockTokens);
        var mixed = states.Count > 0 || attention.Select(layer => (layer.BytesPerToken, layer.Window, layer.Chunked)).Distinct().Count() > 1;
        if (!mixed || !constants.GroupsWindows && states.Count == 0)
            return One(perToken, block, attention is [{ Window: { } window, Chunked: var chunked }, ..] && !mixed ? new(window, chunked, false, 1, block) : new(null, false, false, 1, block));
        return Several(attention, states, perToken, block, (long)batchedTokens * constants.ConcurrentBatches, constants.PrintsConcurrency) with { StateBlocks = constants.StateBlocks };

        VllmKvLayout One(long bytesPerToken, int tokens, VllmKvGroup group) => new()
        {
            BytesPerToken = bytesPerToken, BlockBytes = Math.Max(1, bytesPerToken * tokens), Groups = [group],
            InFlightTokens = (long)batchedTokens * constants.ConcurrentBatches, PrintsConcurrency = constants.PrintsConcurrency,
        };
    }

    private static VllmKvLayout Several(List<LayerCache> attention, List<LayerCache> states, long perToken, int block, long inFlight, bool prints)
    {
        var page = Math.Max(attention.Select(layer => layer.BytesPerToken * block).DefaultIfEmpty(0).Max(), 1);
        if (states.Count > 0)
        {
            // The attention block grows until its page holds a state; the state's page is padded to it.
            var state = states.Max(layer => layer.BytesPerSequence);
            var smallest = attention.Select(layer => layer.BytesPerToken).DefaultIfEmpty(state).Min();
            block = (int)Math.Max(block, 16 * Ceiling(state, 16 * smallest));
            page = Math.Max(state, smallest * block);
        }
        var buckets = attention.GroupBy(layer => (layer.Window, layer.Chunked, layer.BytesPerToken))
            .Select(bucket => (Count: bucket.Count(), Group: new VllmKvGroup(bucket.Key.Window, bucket.Key.Chunked, false, 0, (int)(block * Math.Max(1, page / (bucket.Key.BytesPerToken * block))))))
            .ToList();
        if (states.Count > 0) buckets.Add((states.Count, new VllmKvGroup(null, false, true, 0, block)));
        int least = buckets.Min(bucket => bucket.Count), most = buckets.Max(bucket => bucket.Count);
        var size = most < 1.5 * least ? most : least;
        ImmutableArray<VllmKvGroup> groups = [.. buckets.Select(bucket => bucket.Group with { Groups = (bucket.Count + size - 1) / size })];
        var slots = groups.Sum(group => group.Groups) * size;
        return new VllmKvLayout
        {
            BytesPerToken = perToken, BlockBytes = size * page, Groups = groups, InFlightTokens = inFlight, PrintsConcurrency = prints,
            PaddingShare = 1 - ((double)buckets.Sum(bucket => bucket.Count) / slots),
        };
    }

    /// <summary>The layers of the pipeline stage that keeps most.</summary>
    private static List<LayerCache> LargestStage(IReadOnlyList<LayerCache> layers, ServingOptions options) =>
        [.. options.Parallelism.Stages(layers.Count)
            .Select(stage => layers.Skip(stage.First).Take(stage.End - stage.First).ToList())
            .MaxBy(stage => stage.Sum(layer => layer.BytesPerToken))!];

    private static long Ceiling(long count, long size) => (count + size - 1) / size;
}
