namespace Kvasir.Gateway.Policies;

/// <summary>
/// The worker that wants the prompt's beginning most, passing over those above 1.25 times the mean load (Mirrokni,
/// Thorup, Zadimoghaddam: Consistent Hashing with Bounded Loads, 2016; on rendezvous weights instead of a ring).
/// </summary>
public sealed class ConsistentHashPolicy : IRoutingPolicy
{
    private const double Bound = 1.25;

    /// <inheritdoc/>
    public string Name => "consistent-hash";

    /// <inheritdoc/>
    public int Choose(in RoutingSnapshot snapshot) => Choose(snapshot.Candidates, snapshot.PrefixKey);

    internal static int Choose(ReadOnlySpan<Candidate> candidates, ulong key)
    {
        var total = 1;
        foreach (var candidate in candidates) total += candidate.InFlight;
        var limit = Math.Ceiling(Bound * total / candidates.Length);
        var (best, bestWeight) = (-1, 0UL);
        for (var i = 0; i < candidates.Length; i++)
        {
            if (candidates[i].InFlight + 1 > limit) continue;
            var weight = Choice.Weight(key, candidates[i].Worker);
            if (best < 0 || weight > bestWeight) (best, bestWeight) = (i, weight);
        }
        return best < 0 ? 0 : best;
    }
}

/// <summary>The worker that took the conversation before; requests without a session go to the least busy.</summary>
public sealed class SessionPolicy : IRoutingPolicy
{
    private readonly LeastRequestsPolicy _leastRequests = new();

    /// <inheritdoc/>
    public string Name => "session";

    /// <inheritdoc/>
    public int Choose(in RoutingSnapshot snapshot)
    {
        if (snapshot.SessionKey == 0) return _leastRequests.Choose(snapshot);
        var (best, bestWeight) = (0, 0UL);
        for (var i = 0; i < snapshot.Candidates.Length; i++)
        {
            var weight = Choice.Weight(snapshot.SessionKey, snapshot.Candidates[i].Worker);
            if (weight >= bestWeight) (best, bestWeight) = (i, weight);
        }
        return best;
    }
}
