using System.Collections.Immutable;
using Kvasir.Engine.KvCache.Tiers;

namespace Kvasir.Engine;

/// <summary>The engine's state at one moment, for metrics.</summary>
public sealed record EngineSnapshot
{
    /// <summary>Sequences that run.</summary>
    public required int Running { get; init; }
    /// <summary>Requests that wait.</summary>
    public required int Waiting { get; init; }
    /// <summary>What has been given back to the system.</summary>
    public required SleepLevel Sleeps { get; init; }
    /// <summary>KV blocks in all: 16 tokens each, of one group of layers.</summary>
    public required int KvBlocks { get; init; }
    /// <summary>Tokens for which they have room while no window has passed any.</summary>
    public required int KvTokens { get; init; }
    /// <summary>KV blocks that sequences hold.</summary>
    public required int KvBlocksUsed { get; init; }
    /// <summary>KV blocks that nobody holds and whose contents are kept for later requests.</summary>
    public required int KvBlocksIdle { get; init; }
    /// <summary>KV blocks that pins hold.</summary>
    public required int KvBlocksPinned { get; init; }
    /// <summary>Pins that had to yield to requests since the start.</summary>
    public required long BrokenPins { get; init; }
    /// <summary>Blocks whose contents gave way to others since the start.</summary>
    public required long KvEvictions { get; init; }
    /// <summary>Prompt tokens of admitted requests since the start.</summary>
    public required long PrefixQueryTokens { get; init; }
    /// <summary>How many of those the KV cache held already.</summary>
    public required long PrefixHitTokens { get; init; }
    /// <summary>Prompt tokens computed since the start.</summary>
    public required long PromptTokens { get; init; }
    /// <summary>Tokens generated since the start.</summary>
    public required long GeneratedTokens { get; init; }
    /// <summary>Steps since the start.</summary>
    public required long Steps { get; init; }
    /// <summary>Of the seconds spent in steps, those for choosing what runs and for the KV cache's books: finding, sharing, listing and evicting blocks.</summary>
    public required double BookSeconds { get; init; }
    /// <summary>Seconds spent in steps.</summary>
    public required double StepSeconds { get; init; }
    /// <summary>Sequences that gave way to others since the start.</summary>
    public required long Preemptions { get; init; }
    /// <summary>The KV tiers below the device, from the fastest.</summary>
    public required ImmutableArray<KvTierState> KvTiers { get; init; }
    /// <summary>The ledger's lines.</summary>
    public required ImmutableArray<LedgerLine> Ledger { get; init; }
    /// <summary>What the ledger may hold.</summary>
    public required long BudgetBytes { get; init; }
}
