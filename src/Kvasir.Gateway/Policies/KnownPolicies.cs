namespace Kvasir.Gateway.Policies;

/// <summary>
/// As SGLang's gateway: the longest match if it covers enough of the prompt, but the least busy worker when loads drift
/// apart. Thresholds are its command line's defaults (64 requests and 1.5 times; match above 0.3).
/// </summary>
public sealed class SglangCacheAwarePolicy : IRoutingPolicy
{
    private const int AbsoluteImbalance = 64;
    private const double RelativeImbalance = 1.5, LeastMatch = 0.3;
    private readonly LeastRequestsPolicy _leastRequests = new();

    /// <inheritdoc/>
    public string Name => "sglang-cache-aware";

    /// <inheritdoc/>
    public int Choose(in RoutingSnapshot snapshot)
    {
        var (least, most) = (int.MaxValue, 0);
        foreach (var candidate in snapshot.Candidates) (least, most) = (Math.Min(least, candidate.InFlight), Math.Max(most, candidate.InFlight));
        if (most - least > AbsoluteImbalance && most > RelativeImbalance * least) return _leastRequests.Choose(snapshot);
        var best = 0;
        for (var i = 1; i < snapshot.Candidates.Length; i++)
        {
            var (here, there) = (snapshot.Candidates[i], snapshot.Candidates[best]);
            if (here.CachedTokens > there.CachedTokens || here.CachedTokens == there.CachedTokens && here.InFlight < there.InFlight) best = i;
        }
        return snapshot.Candidates[best].CachedTokens > LeastMatch * snapshot.PromptTokens ? best : _leastRequests.Choose(snapshot);
    }
}

/// <summary>As llm-d's endpoint picker: a weighted sum of scores between 0 and 1 — queue 2, free KV cache 2, prefix 3.</summary>
public sealed class LlmdPolicy : IRoutingPolicy
{
    private const double QueueWeight = 2, CacheWeight = 2, PrefixWeight = 3;

    /// <inheritdoc/>
    public string Name => "llm-d";

    /// <inheritdoc/>
    public int Choose(in RoutingSnapshot snapshot)
    {
        var (least, most) = (int.MaxValue, 0);
        foreach (var candidate in snapshot.Candidates) (least, most) = (Math.Min(least, candidate.InFlight), Math.Max(most, candidate.InFlight));
        var lowest = new Choice.Lowest(snapshot.Draw);
        for (var i = 0; i < snapshot.Candidates.Length; i++)
        {
            var candidate = snapshot.Candidates[i];
            var queue = most == least ? 1 : (double)(most - candidate.InFlight) / (most - least);
            var prefix = snapshot.PromptTokens <= 0 ? 0 : Math.Min(1, candidate.CachedTokens / snapshot.PromptTokens);
            lowest.Offer(i, -(QueueWeight * queue + CacheWeight * (1 - candidate.KvUsedRatio) + PrefixWeight * prefix));
        }
        return lowest.Index;
    }
}

/// <summary>As Dynamo's router: blocks to prefill, those pending included, plus blocks of running decodes; slower tiers count 0.75.</summary>
public sealed class DynamoPolicy : IRoutingPolicy
{
    private const double BlockTokens = 16, HostCredit = 0.75;

    /// <inheritdoc/>
    public string Name => "dynamo";

    /// <inheritdoc/>
    public bool ReadsRates => true;

    /// <inheritdoc/>
    public int Choose(in RoutingSnapshot snapshot)
    {
        var lowest = new Choice.Lowest(snapshot.Draw);
        for (var i = 0; i < snapshot.Candidates.Length; i++)
        {
            var candidate = snapshot.Candidates[i];
            var credit = candidate.CachedTokens + HostCredit * candidate.SlowCachedTokens;
            var prefill = Math.Max(0, candidate.PendingTokens + snapshot.PromptTokens - credit);
            lowest.Offer(i, (prefill + candidate.DecodingTokens) / BlockTokens);
        }
        return lowest.Index;
    }
}
