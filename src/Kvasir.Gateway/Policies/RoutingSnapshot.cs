namespace Kvasir.Gateway.Policies;

/// <summary>All that a policy may look at. Chance and turn are in it, so that equal snapshots give equal choices.</summary>
public readonly ref struct RoutingSnapshot
{
    /// <summary>Tokens of the prompt.</summary>
    public required double PromptTokens { get; init; }
    /// <summary>Workers that could take it; never empty.</summary>
    public required ReadOnlySpan<Candidate> Candidates { get; init; }
    /// <summary>Time to first token to keep, in seconds; 0 for the least.</summary>
    public double GoalSeconds { get; init; }
    /// <summary>Decisions taken before this one.</summary>
    public long Turn { get; init; }
    /// <summary>Random bits.</summary>
    public ulong Draw { get; init; }
    /// <summary>Names the conversation, or zero.</summary>
    public ulong SessionKey { get; init; }
    /// <summary>Names how the prompt begins.</summary>
    public ulong PrefixKey { get; init; }
}

/// <summary>Chooses a worker: a pure function of a snapshot.</summary>
public interface IRoutingPolicy
{
    /// <summary>The name by which users choose it.</summary>
    string Name { get; }

    /// <summary>Whether measured rates, or what is pending by them, change its choices.</summary>
    bool ReadsRates => false;

    /// <summary>The place of the chosen worker among the candidates.</summary>
    int Choose(in RoutingSnapshot snapshot);
}
