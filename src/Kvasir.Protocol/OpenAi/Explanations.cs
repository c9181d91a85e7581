namespace Kvasir.Protocol.OpenAi;

/// <summary>The field <c>kvasir</c> of an answer that was asked to explain itself.</summary>
/// <param name="Answers">One per answer, in the order of <c>choices</c>.</param>
public sealed record Explanations(IReadOnlyList<Explanation> Answers);

/// <summary>What became of one answer.</summary>
public sealed record Explanation
{
    /// <summary>Number of the choice.</summary>
    public required int Index { get; init; }
    /// <summary>Prompt tokens found, by tier.</summary>
    public required TokensByTier CachedTokens { get; init; }
    /// <summary>Prompt tokens computed, by reason.</summary>
    public required TokensByReason MissedTokens { get; init; }
    /// <summary>When and why the evicted ones had left.</summary>
    public required IReadOnlyList<EvictedPart> Evictions { get; init; }
    /// <summary>Whether it waited for another request that was computing its beginning.</summary>
    public required bool Awaited { get; init; }
    /// <summary>Whether it waited because its tenant had its share of the KV cache.</summary>
    public required bool HadItsShare { get; init; }
    /// <summary>How it gave way to others.</summary>
    public required PreemptionCost Preemptions { get; init; }
    /// <summary>From the request to its first step.</summary>
    public required double QueueSeconds { get; init; }
    /// <summary>From the first step to the first token.</summary>
    public required double PrefillSeconds { get; init; }
    /// <summary>From the first token to the last.</summary>
    public required double DecodeSeconds { get; init; }
}

/// <summary>Tokens found, by tier.</summary>
public sealed record TokensByTier(int Device, int Host, int Disk, int Remote);

/// <summary>Tokens computed, by reason; docs/reference/http-api.md tells what each means.</summary>
public sealed record TokensByReason(int New, int Evicted, int Salt, int BelowBlock, int Lost);

/// <summary>A part of the prompt that had left.</summary>
/// <param name="Tokens">Its tokens.</param>
/// <param name="SecondsAgo">When it left, before the request was placed.</param>
/// <param name="Reason">"room" or "deleted".</param>
public sealed record EvictedPart(int Tokens, double SecondsAgo, string Reason);

/// <summary>What giving way cost.</summary>
/// <param name="Count">How often.</param>
/// <param name="RestoredTokens">Tokens found again afterwards, by tier.</param>
/// <param name="RecomputedTokens">Tokens computed again.</param>
public sealed record PreemptionCost(int Count, TokensByTier RestoredTokens, int RecomputedTokens);
