using System.Collections.Immutable;
using Kvasir.Gateway.Fleet;

namespace Kvasir.Gateway.Routing;

/// <summary>A worker in a decision's receipt.</summary>
/// <param name="Worker">Its name.</param>
/// <param name="CachedTokens">Tokens it was believed to hold.</param>
/// <param name="Trust">How well its cache is known.</param>
/// <param name="InFlight">Requests it had.</param>
/// <param name="PendingTokens">Uncached tokens ahead.</param>
/// <param name="Seconds">Estimated time to the first token.</param>
public readonly record struct CandidateReceipt(string Worker, float CachedTokens, TrustState Trust, int InFlight, float PendingTokens, float Seconds);

/// <summary>Why a request went where it went, and what came of it.</summary>
public sealed record DecisionReceipt
{
    /// <summary>The request's id.</summary>
    public required string Request { get; init; }
    /// <summary>When it was decided.</summary>
    public required DateTimeOffset Time { get; init; }
    /// <summary>The policy that decided.</summary>
    public required string Policy { get; init; }
    /// <summary>The asked model.</summary>
    public string? Model { get; init; }
    /// <summary>Tokens of the prompt, as far as known then.</summary>
    public required double PromptTokens { get; init; }
    /// <summary>Whether the prompt's tokens were known.</summary>
    public required bool Tokenized { get; init; }
    /// <summary>Who could have taken it, the fewest estimated seconds first, at most eight.</summary>
    public required ImmutableArray<CandidateReceipt> Candidates { get; init; }
    /// <summary>How many could have taken it.</summary>
    public required int CandidateCount { get; init; }
    /// <summary>Who took it.</summary>
    public required string Chosen { get; init; }
    /// <summary>Estimated time to the first token there.</summary>
    public double? ChosenSeconds { get; init; }
    /// <summary>Tokens that the chosen worker was believed to hold.</summary>
    public required double PredictedCachedTokens { get; init; }
    /// <summary>What other policies would have chosen.</summary>
    public ImmutableArray<ShadowChoice> Shadows { get; init; } = [];
    /// <summary>Which try this was, from 1.</summary>
    public int Attempt { get; init; } = 1;
    /// <summary>Tokens that the worker said it held, once known.</summary>
    public int? ActualCachedTokens { get; set; }
    /// <summary>Tokens that the prompt had by the worker's word.</summary>
    public int? ActualPromptTokens { get; set; }
    /// <summary>Seconds to the first bytes of the answer, once they came.</summary>
    public double? FirstTokenSeconds { get; set; }
    /// <summary>How it ended: a status, or what failed.</summary>
    public string? Outcome { get; set; }
}

/// <summary>What another policy would have chosen.</summary>
/// <param name="Policy">Its name.</param>
/// <param name="Worker">Its choice.</param>
/// <param name="Seconds">Estimated time to the first token there.</param>
public sealed record ShadowChoice(string Policy, string Worker, double Seconds);

/// <summary>The latest receipts, newest first, in a ring of fixed size.</summary>
public sealed class DecisionLog(int capacity = 256)
{
    private readonly DecisionReceipt?[] _ring = new DecisionReceipt?[capacity];
    private long _next;

    /// <summary>Keeps a receipt in place of the oldest.</summary>
    public void Add(DecisionReceipt receipt) => Volatile.Write(ref _ring[(Interlocked.Increment(ref _next) - 1) % _ring.Length], receipt);

    /// <summary>The latest receipts, newest first.</summary>
    public IEnumerable<DecisionReceipt> Latest(int count)
    {
        var newest = Volatile.Read(ref _next);
        for (var i = newest - 1; i >= 0 && i >= newest - Math.Min(count, _ring.Length); i--)
            if (Volatile.Read(ref _ring[i % _ring.Length]) is { } receipt) yield return receipt;
    }
}
