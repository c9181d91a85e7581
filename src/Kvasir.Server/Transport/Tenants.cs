using System.Security.Cryptography;
using System.Text;
using Kvasir.Protocol.OpenAi;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Server.Transport;

/// <summary>
/// Whose requests come in, and how many tokens each may still use. Balances are buckets of a minute's tokens that refill
/// evenly; a prompt is charged when it comes, an answer when it has ended, so that a balance may be below zero for a while.
/// </summary>
/// <param name="options">The limits.</param>
/// <param name="time">The clock.</param>
public sealed class Tenants(ServerOptions options, TimeProvider time)
{
    /// <summary>Balances kept; of more tenants, those whose buckets are full are forgotten.</summary>
    private const int MostBalances = 10_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Balance> _balances = new(StringComparer.Ordinal);

    /// <summary>Whose a request is: that of its API key, within it who the trusted header names, without either its salt's; null for nobody's.</summary>
    public string? Of(HttpContext http, string? salt)
    {
        var holder = Guard.Holder(http);
        if (options.TenantHeader is not { } header || http.Request.Headers[header].ToString() is not { Length: > 0 } named) return holder ?? salt;
        return $"{holder}/{Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(named)), 0, 8)}";
    }

    /// <summary>The priority that a request gets of what it asks for.</summary>
    public int Priority(int asked) => Math.Max(asked, options.LeastPriority);

    /// <summary>Charges a request's prompt; a failure, and nothing is charged, while the tenant's tokens are used up.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="tokens">Prompt tokens.</param>
    public RequestFailure? Charge(string? tenant, int tokens)
    {
        if (options.TenantTokensPerMinute == 0) return null;
        lock (_lock)
        {
            var balance = Refill(tenant ?? "");
            if (balance.Tokens <= 0)
            {
                var wait = (int)Math.Ceiling((1 - balance.Tokens) * 60 / options.TenantTokensPerMinute);
                return new RequestFailure(FailureKind.TokensUsedUp, $"The {options.TenantTokensPerMinute} tokens per minute of this key are used up. Try again in {wait} s.") { RetryAfterSeconds = wait };
            }
            balance.Tokens -= tokens;
            return null;
        }
    }

    /// <summary>Gives back what a request was charged that did not begin.</summary>
    public void Refund(string? tenant, int tokens) => ChargeAnswer(tenant, -tokens);

    /// <summary>Charges what a request has generated.</summary>
    public void ChargeAnswer(string? tenant, int tokens)
    {
        if (options.TenantTokensPerMinute == 0) return;
        lock (_lock) Refill(tenant ?? "").Tokens -= tokens;
    }

    private Balance Refill(string tenant)
    {
        var (now, most) = (time.GetTimestamp(), (double)options.TenantTokensPerMinute);
        if (!_balances.TryGetValue(tenant, out var balance))
        {
            if (_balances.Count >= MostBalances) ForgetFull(now, most);
            _balances.Add(tenant, balance = new Balance { Tokens = most, At = now });
        }
        balance.Tokens = Math.Min(most, balance.Tokens + (time.GetElapsedTime(balance.At, now).TotalMinutes * most));
        balance.At = now;
        return balance;
    }

    private void ForgetFull(long now, double most)
    {
        foreach (var (name, balance) in _balances)
            if (balance.Tokens + (time.GetElapsedTime(balance.At, now).TotalMinutes * most) >= most) _balances.Remove(name);
    }

    private sealed class Balance
    {
        public double Tokens { get; set; }
        public long At { get; set; }
    }
}
