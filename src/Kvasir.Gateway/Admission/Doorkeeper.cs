using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;

namespace Kvasir.Gateway.Admission;

/// <summary>Who may come in, how often, and in which order. Tenants are replaced whole; those that stay keep their allowances.</summary>
public sealed class Doorkeeper(TimeProvider time)
{
    private Doors _doors = new([], new FairQueue(int.MaxValue, 0));

    /// <summary>Where requests wait for room.</summary>
    public FairQueue Queue => Volatile.Read(ref _doors).Queue;

    /// <summary>Whether requests must carry a key.</summary>
    public bool WantsKeys => Volatile.Read(ref _doors).ByHash.Count > 0;

    /// <summary>SHA-256 of a key as configuration writes it.</summary>
    public static string HashOf(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));

    /// <summary>Makes tenants and room what configuration says.</summary>
    public void Apply(ImmutableArray<Tenant> tenants, int room, int mostWaiting)
    {
        var before = Volatile.Read(ref _doors);
        var queue = before.Queue.Room == room && before.Queue.MostWaiting == mostWaiting ? before.Queue : new FairQueue(room, mostWaiting);
        Volatile.Write(ref _doors, new Doors(tenants.ToDictionary(tenant => tenant.KeyHash,
            tenant => before.ByHash.TryGetValue(tenant.KeyHash, out var known) && known.Tenant == tenant ? known : new Allowance(tenant, time)), queue));
    }

    /// <summary>Whose key this is; anybody where no key is wanted, null where the key is nobody's.</summary>
    /// <param name="authorization">The request's Authorization header.</param>
    public Allowance? Recognize(string? authorization)
    {
        var doors = Volatile.Read(ref _doors);
        if (doors.ByHash.Count == 0) return Allowance.Unbounded;
        const string Scheme = "Bearer ";
        return authorization is not null && authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
            ? doors.ByHash.GetValueOrDefault(HashOf(authorization[Scheme.Length..].Trim())) : null;
    }

    // Looking a hash up tells an eavesdropper on timing nothing about keys: hashes cannot be chosen.
    private sealed record Doors(Dictionary<string, Allowance> ByHash, FairQueue Queue);
}

/// <summary>What a tenant has left of its limits.</summary>
public sealed class Allowance
{
    /// <summary>Of whom nothing is limited.</summary>
    public static readonly Allowance Unbounded = new(Tenant.Anyone, TimeProvider.System);

    private readonly TokenBucket? _requests, _tokens;

    /// <param name="tenant">Whose it is.</param>
    /// <param name="time">The clock.</param>
    public Allowance(Tenant tenant, TimeProvider time)
    {
        Tenant = tenant;
        _requests = tenant.RequestsPerMinute is { } requests ? new TokenBucket(requests, time) : null;
        _tokens = tenant.TokensPerMinute is { } tokens ? new TokenBucket(tokens, time) : null;
    }

    /// <summary>Whose it is.</summary>
    public Tenant Tenant { get; }

    /// <summary>Takes a request of about so many tokens; where a limit is reached, which one and when to come back.</summary>
    public (string Limit, TimeSpan RetryAfter)? TryTake(double tokens)
    {
        if (_requests?.TryTake(1) is { } requestsAt) return ("requests", requestsAt);
        if (_tokens?.TryTake(tokens) is not { } tokensAt) return null;
        _requests?.Return(1);
        return ("tokens", tokensAt);
    }

    /// <summary>A request took other than it was thought to.</summary>
    public void Settle(double thoughtTokens, double actualTokens) => _tokens?.Return(thoughtTokens - actualTokens);
}
