using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.KvCache;

/// <summary>
/// The books of a KV cache without keys and values: which blocks there are, what they contain, who holds them and which
/// give way. What computes nothing runs on them as the engine runs on its own. For one thread.
/// </summary>
public sealed class KvBooks
{
    /// <param name="blocks">Number of blocks.</param>
    /// <param name="blockTokens">Tokens per block.</param>
    /// <param name="eviction">Which kept blocks give way first.</param>
    /// <param name="time">The clock.</param>
    /// <param name="events">Told after a step which blocks came and went; null for nobody.</param>
    public KvBooks(int blocks, int blockTokens, EvictionKind eviction, TimeProvider time, Action<KvEventBatch>? events = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blockTokens, 1);
        Groups = KvGroups.WithoutLayers(blockTokens);
        ContextTokens = Groups.Tokens(blocks);
        Time = time;
        Events = events is null ? null : new KvEventLog(events, time, blockTokens);
        var retention = new RetentionEviction(EvictionPolicies.Create(eviction, blocks), blocks, time);
        Pool = new BlockPool(blocks, retention);
        Cache = new PrefixCache(Pool, Groups, static (_, _) => { }, events: Events, time: time, retention: retention);
    }

    /// <summary>The blocks and who holds them.</summary>
    public BlockPool Pool { get; }

    /// <summary>Tokens per block.</summary>
    public int BlockTokens => Groups.BlockTokens;

    /// <summary>Tokens of the longest sequence that fits.</summary>
    public int ContextTokens { get; }

    internal KvGroups Groups { get; }

    internal TimeProvider Time { get; }

    internal KvEventLog? Events { get; }

    internal PrefixCache Cache { get; }
}
