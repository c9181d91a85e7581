namespace Kvasir.Gateway.Policies;

/// <summary>A worker that could take a request, as one instant saw it.</summary>
public record struct Candidate
{
    /// <summary>The worker's number in the fleet.</summary>
    public int Worker { get; set; }
    /// <summary>Prompt tokens that its device probably holds, after its source's trust is discounted.</summary>
    public double CachedTokens { get; set; }
    /// <summary>Prompt tokens beyond those that slower tiers probably hold.</summary>
    public double SlowCachedTokens { get; set; }
    /// <summary>Requests sent to it that have not ended.</summary>
    public int InFlight { get; set; }
    /// <summary>Requests that wait in the engine and are not ours.</summary>
    public int OthersWaiting { get; set; }
    /// <summary>Uncached prompt tokens of requests whose first token has not come.</summary>
    public double PendingTokens { get; set; }
    /// <summary>Uncached prompt tokens sent to it lately, older ones fading; what it computes and what enters its cache.</summary>
    public double RecentTokens { get; set; }
    /// <summary>Prompt tokens that its cache saved it lately, older ones fading.</summary>
    public double RecentCachedTokens { get; set; }
    /// <summary>Requests that have had their first token and have not ended.</summary>
    public int Decoding { get; set; }
    /// <summary>Tokens in the contexts of those.</summary>
    public double DecodingTokens { get; set; }
    /// <summary>Share of its KV cache that running sequences reference, 0 to 1; 0 where unknown.</summary>
    public double KvUsedRatio { get; set; }
    /// <summary>Measured prefill rate, in tokens per second.</summary>
    public double PrefillRate { get; set; }
    /// <summary>Rate at which slower tiers give blocks back, in tokens per second.</summary>
    public double FetchRate { get; set; }
    /// <summary>Share of full traffic that it may get, 0 to 1: below 1 while it starts slowly.</summary>
    public double Warmth { get; set; }
}
