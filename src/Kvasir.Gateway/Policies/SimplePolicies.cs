namespace Kvasir.Gateway.Policies;

/// <summary>Each worker in turn.</summary>
public sealed class RoundRobinPolicy : IRoutingPolicy
{
    /// <inheritdoc/>
    public string Name => "round-robin";

    /// <inheritdoc/>
    public int Choose(in RoutingSnapshot snapshot) => (int)(snapshot.Turn % snapshot.Candidates.Length);
}

/// <summary>Any worker.</summary>
public sealed class RandomPolicy : IRoutingPolicy
{
    /// <inheritdoc/>
    public string Name => "random";

    /// <inheritdoc/>
    public int Choose(in RoutingSnapshot snapshot) => (int)(snapshot.Draw % (ulong)snapshot.Candidates.Length);
}

/// <summary>The worker with the fewest requests in flight.</summary>
public sealed class LeastRequestsPolicy : IRoutingPolicy
{
    /// <inheritdoc/>
    public string Name => "least-requests";

    /// <inheritdoc/>
    public int Choose(in RoutingSnapshot snapshot)
    {
        var lowest = new Choice.Lowest(snapshot.Draw);
        for (var i = 0; i < snapshot.Candidates.Length; i++) lowest.Offer(i, snapshot.Candidates[i].InFlight);
        return lowest.Index;
    }
}

/// <summary>The less busy of two drawn workers: nearly as even as the least busy of all, without a herd when views are old.</summary>
public sealed class PowerOfTwoPolicy : IRoutingPolicy
{
    /// <inheritdoc/>
    public string Name => "power-of-two";

    /// <inheritdoc/>
    public int Choose(in RoutingSnapshot snapshot)
    {
        var count = (ulong)snapshot.Candidates.Length;
        if (count == 1) return 0;
        var first = (int)(snapshot.Draw % count);
        var second = (int)(((ulong)first + 1 + Choice.Mix(snapshot.Draw) % (count - 1)) % count);
        return snapshot.Candidates[second].InFlight < snapshot.Candidates[first].InFlight ? second : first;
    }
}
