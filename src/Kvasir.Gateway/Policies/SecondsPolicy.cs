namespace Kvasir.Gateway.Policies;

/// <summary>
/// The default: the worker with the fewest estimated seconds until the first token. What is queued there and what this
/// prompt would add, at the rate measured there; plus what slower tiers take to give blocks back.
/// </summary>
public sealed class SecondsPolicy : IRoutingPolicy
{
    /// <summary>A worker that just started counts as this much slower than it is, falling to nothing while it warms up.</summary>
    private const double ColdPenalty = 3;

    /// <inheritdoc/>
    public string Name => "kvasir";

    /// <inheritdoc/>
    public int Choose(in RoutingSnapshot snapshot)
    {
        var lowest = new Choice.Lowest(snapshot.Draw);
        for (var i = 0; i < snapshot.Candidates.Length; i++) lowest.Offer(i, Seconds(snapshot.Candidates[i], snapshot.PromptTokens));
        return lowest.Index;
    }

    /// <summary>Estimated seconds until a prompt's first token.</summary>
    /// <param name="candidate">The worker.</param>
    /// <param name="promptTokens">The prompt.</param>
    public static double Seconds(in Candidate candidate, double promptTokens)
    {
        var uncached = Math.Max(1, promptTokens - candidate.CachedTokens - candidate.SlowCachedTokens);
        var mean = candidate.InFlight > candidate.Decoding ? candidate.PendingTokens / (candidate.InFlight - candidate.Decoding) : uncached;
        var queued = candidate.PendingTokens + candidate.OthersWaiting * mean;
        var seconds = (queued + uncached) / candidate.PrefillRate;
        if (candidate.SlowCachedTokens > 0) seconds += candidate.SlowCachedTokens / candidate.FetchRate;
        return seconds * (1 + ColdPenalty * (1 - candidate.Warmth));
    }
}
