using System.Collections.Immutable;

namespace Kvasir.Protocol.KvEvents;

/// <summary>What changed in a worker's KV cache during one step.</summary>
/// <param name="TimestampSeconds">Seconds since the Unix epoch, by the worker's clock.</param>
/// <param name="Events">In the order they happened.</param>
/// <param name="DataParallelRank">The rank that speaks, or null where the worker has but one.</param>
public sealed record KvEventBatch(double TimestampSeconds, ImmutableArray<KvEvent> Events, int? DataParallelRank = null);

/// <summary>One change in a KV cache.</summary>
public abstract record KvEvent;

/// <summary>Consecutive blocks entered a tier.</summary>
public sealed record BlocksStored : KvEvent
{
    /// <summary>The blocks, in sequence order.</summary>
    public required ImmutableArray<BlockKey> Blocks { get; init; }
    /// <summary>The block before the first one, or null at the start of a sequence.</summary>
    public BlockKey? Parent { get; init; }
    /// <summary>The blocks' tokens, concatenated; the last block may be short. Empty where the engine does not repeat them (moves between tiers).</summary>
    public ImmutableArray<int> Tokens { get; init; } = [];
    /// <summary>Tokens per block.</summary>
    public required int BlockSize { get; init; }
    /// <summary>Where the blocks are.</summary>
    public KvTier Tier { get; init; }
    /// <summary>Name (or number, as text) of the LoRA adapter whose keys and values these are, or null.</summary>
    public string? Adapter { get; init; }
    /// <summary>
    /// What besides tokens and adapter went into each block's name, as text: a salt as it is, anything else (images, embeddings)
    /// opaque; null for a block where nothing did, empty where nothing did anywhere.
    /// </summary>
    public ImmutableArray<string?> ExtraKeys { get; init; } = [];
    /// <summary>The cache group in models whose layers keep different blocks (sliding windows, hybrids).</summary>
    public int Group { get; init; }
    /// <summary>Whether the group's layers keep less than the whole text (windows, states): its blocks say little about how far a prefix reaches.</summary>
    public bool IsPartial { get; init; }
}

/// <summary>Blocks left a tier.</summary>
public sealed record BlocksRemoved : KvEvent
{
    /// <summary>The blocks.</summary>
    public required ImmutableArray<BlockKey> Blocks { get; init; }
    /// <summary>The tier they left.</summary>
    public KvTier Tier { get; init; }
    /// <summary>The cache group.</summary>
    public int Group { get; init; }
}

/// <summary>The whole cache was dropped.</summary>
public sealed record AllBlocksCleared : KvEvent;

/// <summary>Where a block's bytes are.</summary>
public enum KvTier
{
    /// <summary>The device's memory, ready to be read by a step.</summary>
    Device,
    /// <summary>Host memory.</summary>
    Host,
    /// <summary>A disk of the worker's machine.</summary>
    Disk,
    /// <summary>Somewhere else: shared storage, another machine.</summary>
    Remote,
}
