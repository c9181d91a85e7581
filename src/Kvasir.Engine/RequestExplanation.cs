using System.Collections.Immutable;
using Kvasir.Engine.KvCache;

namespace Kvasir.Engine;

/// <summary>Tokens whose keys and values were found, by where they were.</summary>
/// <param name="Device">On the device.</param>
/// <param name="Host">In host memory.</param>
/// <param name="Disk">On disk.</param>
/// <param name="Remote">On a server that machines share.</param>
public readonly record struct TierTokens(int Device, int Host, int Disk, int Remote = 0)
{
    /// <summary>Their sum.</summary>
    public int Total => Device + Host + Disk + Remote;
}

/// <summary>Why prompt tokens had to be computed. The parts add up to what was not found.</summary>
/// <param name="New">Not computed here before, or so long ago that nobody remembers.</param>
/// <param name="Evicted">Computed here before, but they left: see <see cref="RequestExplanation.Evictions"/>.</param>
/// <param name="Salt">Nothing was ever computed under the request's salt, so that there was nothing to share.</param>
/// <param name="BelowBlock">The prompt's end that fills no block, and its last token, which is always computed.</param>
/// <param name="Lost">Found in a tier, but gone or damaged when they were to be loaded.</param>
public readonly record struct MissedTokens(int New, int Evicted, int Salt, int BelowBlock, int Lost);

/// <summary>A part of a prompt whose blocks had left.</summary>
/// <param name="Tokens">How many tokens.</param>
/// <param name="SecondsAgo">When, before the request was placed.</param>
/// <param name="Reason">Why.</param>
public readonly record struct EvictedTokens(int Tokens, double SecondsAgo, EvictionReason Reason);

/// <summary>What became of a request: where its prompt was found, why the rest was not, and what its time went into.</summary>
public sealed record RequestExplanation
{
    /// <summary>Prompt tokens found.</summary>
    public required TierTokens Cached { get; init; }
    /// <summary>Prompt tokens computed, by reason.</summary>
    public required MissedTokens Missed { get; init; }
    /// <summary>When and why the evicted tokens had left.</summary>
    public required ImmutableArray<EvictedTokens> Evictions { get; init; }
    /// <summary>Whether it waited for another request that was computing its beginning.</summary>
    public required bool Awaited { get; init; }
    /// <summary>Whether it waited because its tenant had its share of the KV cache.</summary>
    public required bool HadItsShare { get; init; }
    /// <summary>How often it gave way to others.</summary>
    public required int Preemptions { get; init; }
    /// <summary>Tokens found again after it had given way.</summary>
    public required TierTokens Restored { get; init; }
    /// <summary>Tokens computed again after it had given way.</summary>
    public required int Recomputed { get; init; }
    /// <summary>From submission to the first step.</summary>
    public required double QueueSeconds { get; init; }
    /// <summary>From the first step to the first token, or to the end where there is none.</summary>
    public required double PrefillSeconds { get; init; }
    /// <summary>From the first token to the end.</summary>
    public required double DecodeSeconds { get; init; }
}
