using System.Collections.Immutable;
using Kvasir.Checkpoints;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Engine.Model;
using Kvasir.Engine.Sampling;
using Kvasir.Kernels;

namespace Kvasir.Engine;

/// <summary>
/// What the engine will take, to the byte, before it takes it: pure arithmetic over a checkpoint's headers and the
/// options. The engine reserves exactly these lines in its <see cref="MemoryLedger"/>.
/// </summary>
public sealed record EngineMemoryPlan
{
    internal const string WeightsLine = "weights", ActivationsLine = "activations", SamplerLine = "sampling", KvLine = "kv/device", IndexLine = "kv/index", HostLine = "kv/host", DiskLine = "kv/disk-buffers", RemoteLine = "kv/remote-buffers";

    /// <summary>Rows of logits computed at a time.</summary>
    internal const int LogitRows = 32;

    private const int MostTierBlocks = int.MaxValue / BlockTable.BlockTokens;

    /// <summary>Lines of the ledger.</summary>
    public required ImmutableArray<LedgerLine> Lines { get; init; }
    /// <summary>Blocks of the KV cache: 16 tokens each, of one group of layers.</summary>
    public required int KvBlocks { get; init; }
    /// <summary>Bytes of a block.</summary>
    public required long KvBlockBytes { get; init; }
    /// <summary>Tokens for which the KV cache has room while no window has passed any.</summary>
    public required int KvTokens { get; init; }
    /// <summary>Blocks that the KV tier in main memory holds.</summary>
    public required int HostBlocks { get; init; }
    /// <summary>Blocks that the KV tier on disk holds.</summary>
    public required int DiskBlocks { get; init; }
    /// <summary>Bytes that one token's keys and values take in all layers, while no window has passed it.</summary>
    public required long KvBytesPerToken { get; init; }
    /// <summary>Most tokens of one sequence.</summary>
    public required int ContextTokens { get; init; }
    /// <summary>Tokens of the largest step.</summary>
    public required int StepTokens { get; init; }

    /// <summary>How layers share blocks.</summary>
    internal KvGroups Groups { get; private init; } = KvGroups.One();

    /// <summary>Sum of all lines.</summary>
    public long TotalBytes => Lines.Sum(line => line.Bytes);

    /// <summary>What an engine that sleeps at <see cref="SleepLevel.Weights"/> keeps: all but weights and the KV cache on the device.</summary>
    public long AsleepBytes => TotalBytes - Bytes(WeightsLine) - Bytes(KvLine);

    /// <summary>
    /// What each engine may take when several share a budget and some of them are awake at a time: equal parts of what those
    /// that sleep leave, whichever they are.
    /// </summary>
    /// <param name="plans">Plans of all of them, each for the budget divided by <paramref name="awake"/>: none will keep more asleep than there.</param>
    /// <param name="awake">How many are awake at a time.</param>
    /// <param name="budgetBytes">What they may take together.</param>
    public static long ShareBytes(IReadOnlyCollection<EngineMemoryPlan> plans, int awake, long budgetBytes) =>
        Math.Max(0, budgetBytes - plans.Select(plan => plan.AsleepBytes).OrderDescending().Take(plans.Count - awake).Sum()) / awake;

    /// <summary>Bytes of a line, 0 when there is none.</summary>
    internal long Bytes(string name) => Lines.FirstOrDefault(line => line.Name == name).Bytes;

    /// <summary>Plans an engine.</summary>
    /// <param name="spec">The model.</param>
    /// <param name="tensors">Where its weights are.</param>
    /// <param name="options">How it shall run.</param>
    /// <param name="budgetBytes">What the ledger may hold.</param>
    /// <exception cref="MemoryBudgetException">Weights, activations and the smallest useful KV cache do not fit.</exception>
    /// <exception cref="KvTierException">A KV tier has no room for one block.</exception>
    /// <exception cref="CheckpointException">The model has layers that this engine cannot run.</exception>
    public static EngineMemoryPlan For(ModelSpec spec, ModelTensors tensors, EngineOptions options, long budgetBytes)
    {
        if (options.Problem() is { } problem) throw new ArgumentException(problem, nameof(options));
        RequireRunnable(spec);
        var stepTokens = options.ChunkTokens + options.MaxSequences;
        var weights = options.Mapped ? 0 : WeightLoader.ArenaBytes(tensors);
        var activations = DecoderBuffers.Bytes(spec, stepTokens, LogitRows) + RopeTables.Bytes(spec, stepTokens);
        var sampler = Sampler.Bytes(spec.VocabularySize);
        var groups = KvGroups.For(spec, options.KvFormat, options.ChunkTokens);
        var blockBytes = groups.BlockBytes;
        var (hostBlocks, diskBlocks) = TierBlocks(options, blockBytes);
        var (host, disk) = (hostBlocks * blockBytes, diskBlocks > 0 ? (DiskTier.Buffers + 1) * blockBytes : 0);
        // One more for what is being sent.
        var remote = options.KvRemote is null ? 0 : (RemoteTier.SendBuffers + RemoteTier.FetchBuffers + 1) * blockBytes;
        var tierIndex = ((hostBlocks + diskBlocks) * TierSlots.BytesPerSlot) + (diskBlocks * DiskPages.MemoryPerPage(options.KvDisk?.Key is not null));
        var context = options.ContextTokens ?? spec.ContextLength;
        // The index grows with the blocks, so both come out of what is left together.
        var index = PrefixCache.BytesPerBlock(options.Eviction);
        var rest = weights + activations + sampler + host + disk + remote + tierIndex;
        var left = budgetBytes - rest;
        var wanted = options.KvTokens is { } tokens ? (long)groups.Count * BlockTable.BlocksFor(tokens) : (long)options.MaxSequences * groups.Blocks(context);
        var affordable = Math.Max(0, left) / (blockBytes + index);
        var least = options.KvTokens is not null ? wanted : Math.Min(wanted, groups.Blocks(Math.Min(context, 512)));
        if (affordable < least)
            throw new MemoryBudgetException("The engine", rest + least * (blockBytes + index), budgetBytes,
                $"Weights take {new ByteSize(weights)}, activations {new ByteSize(activations)}, the KV cache {new ByteSize(least * blockBytes)} for {groups.Tokens((int)Math.Min(least, int.MaxValue))} tokens"
                + (host + disk > 0 ? $", its tiers {new ByteSize(host + disk + remote + tierIndex)}. " : ". ")
                + "Raise --memory, take a smaller quantization, or lower --context, --max-seqs or --chunk.");
        var blocks = (int)Math.Min(Math.Min(wanted, affordable), int.MaxValue / BlockTable.BlockTokens);
        return new EngineMemoryPlan
        {
            Lines = [.. new LedgerLine[]
            {
                new(ActivationsLine, activations), new(KvLine, blocks * blockBytes), new(DiskLine, disk), new(HostLine, host), new(RemoteLine, remote),
                new(IndexLine, (blocks * index) + tierIndex), new(SamplerLine, sampler), new(WeightsLine, weights),
            }.Where(line => line.Bytes > 0)],
            HostBlocks = (int)hostBlocks,
            DiskBlocks = (int)diskBlocks,
            KvBlocks = blocks,
            KvBlockBytes = blockBytes,
            KvBytesPerToken = groups.Count * blockBytes / BlockTable.BlockTokens,
            KvTokens = blocks / groups.Count * BlockTable.BlockTokens,
            Groups = groups,
            ContextTokens = Math.Min(context, groups.Tokens(blocks)),
            StepTokens = stepTokens,
        };
    }

    private static (long Host, long Disk) TierBlocks(EngineOptions options, long blockBytes)
    {
        var host = options.KvHostBytes / blockBytes;
        var disk = (options.KvDisk?.Bytes ?? 0) / DiskPages.BytesPerPage((int)blockBytes);
        if (host == 0 && options.KvHostBytes > 0)
            throw new KvTierException($"The KV tier in main memory has {new ByteSize(options.KvHostBytes)}, but one block of this model takes {new ByteSize(blockBytes)}. Raise --kv-host.");
        if (disk == 0 && options.KvDisk is { } asked)
            throw new KvTierException($"The KV tier on disk has {new ByteSize(asked.Bytes)}, but one block of this model takes {new ByteSize(DiskPages.BytesPerPage((int)blockBytes))}. Raise --kv-disk.");
        return (Math.Min(host, MostTierBlocks), Math.Min(disk, MostTierBlocks));
    }

    private static void RequireRunnable(ModelSpec spec)
    {
        for (var i = 0; i < spec.Layers.Length; i++)
        {
            var layer = spec.Layers[i];
            var reason = layer.Mixer is not AttentionSpec attention ? $"a {layer.Mixer.GetType().Name}"
                : attention.ChunkSize is not null ? "chunked attention"
                : attention.SharesKeyValuesOfLayer is not null ? "keys and values shared between layers"
                : attention.Sinks ? "attention sinks"
                : layer.FeedForward is not DenseFeedForwardSpec { Gated: true } ? "a feed-forward network that is not dense and gated"
                : layer.Parallel ? "parallel attention and feed-forward"
                : null;
            if (reason is not null)
                throw new CheckpointException($"Layer {i} of \"{spec.Architecture}\" has {reason}, which the engine does not run yet. Dense models of the Llama, Mistral, Qwen2, Qwen3, Phi-3 and Gemma families run.");
        }
    }
}
