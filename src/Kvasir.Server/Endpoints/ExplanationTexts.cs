using Kvasir.Engine;
using Kvasir.Protocol.OpenAi;

namespace Kvasir.Server.Endpoints;

/// <summary>The engine's explanations in the terms of the protocol.</summary>
internal static class ExplanationTexts
{
    /// <summary>What became of each answer; null unless the request asked.</summary>
    public static Explanations? Of(SamplingFields asked, TextGeneration generation) => !asked.Explain ? null : new Explanations(
        [.. from index in Enumerable.Range(0, generation.Count)
            let told = generation.Explanation(index)
            where told is not null
            select Of(index, told)]);

    private static Explanation Of(int index, RequestExplanation told) => new()
    {
        Index = index,
        CachedTokens = Of(told.Cached),
        MissedTokens = new TokensByReason(told.Missed.New, told.Missed.Evicted, told.Missed.Salt, told.Missed.BelowBlock, told.Missed.Lost),
        Evictions = [.. told.Evictions.Select(part => new EvictedPart(part.Tokens, part.SecondsAgo, part.Reason.ToString().ToLowerInvariant()))],
        Awaited = told.Awaited,
        HadItsShare = told.HadItsShare,
        Preemptions = new PreemptionCost(told.Preemptions, Of(told.Restored), told.Recomputed),
        QueueSeconds = told.QueueSeconds,
        PrefillSeconds = told.PrefillSeconds,
        DecodeSeconds = told.DecodeSeconds,
    };

    private static TokensByTier Of(TierTokens tokens) => new(tokens.Device, tokens.Host, tokens.Disk, tokens.Remote);
}
