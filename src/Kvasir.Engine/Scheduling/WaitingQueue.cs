namespace Kvasir.Engine.Scheduling;

/// <summary>
/// Who is next: the lowest priority number, then the tenant that was served least (start-time fair queueing over tokens
/// computed), then whoever came first; a sequence that gave way keeps its place. For one thread: the engine's.
/// </summary>
internal sealed class WaitingQueue
{
    private readonly List<Sequence> _waiting = [];
    private readonly Dictionary<string, Tenant> _tenants = new(StringComparer.Ordinal);
    private long _arrivals, _looks;

    public int Count => _waiting.Count;

    public IEnumerable<Sequence> All => _waiting;

    /// <summary>Whether all requests, waiting and running, are one tenant's: what is served does not change who is next.</summary>
    public bool HasOneTenant => _tenants.Count <= 1;

    /// <summary>A new sequence.</summary>
    public void Enqueue(Sequence sequence)
    {
        var tenant = TenantOf(sequence.Request.Tenant ?? "");
        // It is owed nothing for the time in which it asked for nothing.
        if (tenant.Requests++ == 0 && LeastServed(tenant) is { } least) tenant.Served = Math.Max(tenant.Served, least);
        (sequence.Tenant, sequence.Arrival) = (tenant, _arrivals++);
        _waiting.Add(sequence);
    }

    /// <summary>A sequence that ran waits again, at its old place.</summary>
    public void Return(Sequence sequence) => _waiting.Add(sequence);

    /// <summary>A sequence is admitted or leaves the queue.</summary>
    public bool Remove(Sequence sequence) => _waiting.Remove(sequence);

    /// <summary>A sequence is over. A tenant without others is remembered while it has been served more than somebody who is here: who asks for one thing after another pays as if all had come at once.</summary>
    public void End(Sequence sequence)
    {
        sequence.Tenant!.Requests--;
        var least = LeastServed(null);
        foreach (var (name, tenant) in _tenants)
            if (tenant.Requests == 0 && !(tenant.Served > least)) _tenants.Remove(name);
    }

    /// <summary>Begins to look for the next ones; those passed over are looked at again.</summary>
    public void Look() => _looks++;

    /// <summary>The next one that was not passed over in this look; null when there is none.</summary>
    public Sequence? Next()
    {
        Sequence? best = null;
        foreach (var sequence in _waiting)
            if (sequence.PassedOver != _looks && (best is null || IsBefore(sequence, best))) best = sequence;
        return best;
    }

    /// <summary>Leaves a sequence out for the rest of this look.</summary>
    public void PassOver(Sequence sequence) => sequence.PassedOver = _looks;

    private static bool IsBefore(Sequence a, Sequence b) =>
        a.Request.Priority != b.Request.Priority ? a.Request.Priority < b.Request.Priority
        : a.Tenant != b.Tenant && a.Tenant!.Served != b.Tenant!.Served ? a.Tenant.Served < b.Tenant.Served
        : a.Arrival < b.Arrival;

    private Tenant TenantOf(string name)
    {
        if (!_tenants.TryGetValue(name, out var tenant)) _tenants.Add(name, tenant = new Tenant(name));
        return tenant;
    }

    /// <summary>What the least served of those that have requests has had; null where nobody else has any.</summary>
    private long? LeastServed(Tenant? except)
    {
        long? least = null;
        foreach (var tenant in _tenants.Values)
            if (tenant != except && tenant.Requests > 0) least = Math.Min(least ?? long.MaxValue, tenant.Served);
        return least;
    }
}
