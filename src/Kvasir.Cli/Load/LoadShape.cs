namespace Kvasir.Cli.Load;

/// <summary>How large a load is. What is null takes the load's own size.</summary>
internal sealed record LoadShape
{
    /// <summary>Requests of loads without conversations.</summary>
    public int? Requests { get; init; }
    /// <summary>Tokens of a request's or a turn's own text.</summary>
    public int? PromptTokens { get; init; }
    /// <summary>Tokens that each answer has.</summary>
    public int? OutputTokens { get; init; }
    /// <summary>Tokens that all prompts begin with.</summary>
    public int? SharedTokens { get; init; }
    /// <summary>Conversations.</summary>
    public int? Conversations { get; init; }
    /// <summary>Turns of each conversation.</summary>
    public int? Turns { get; init; }
    /// <summary>Sessions at a time; 0 for all.</summary>
    public int? Concurrency { get; init; }
    /// <summary>Arrivals per second, exponentially spaced; null starts a session when another ends.</summary>
    public double? Rate { get; init; }
    /// <summary>Whether a conversation waits, between two turns, until the others had theirs.</summary>
    public bool Interleave { get; init; }
    /// <summary>What the texts and the arrivals come from.</summary>
    public int Seed { get; init; } = 1;
    /// <summary>File of a trace.</summary>
    public string? Trace { get; init; }
    /// <summary>Factor of a trace's token counts.</summary>
    public double TraceTokens { get; init; } = 1;
    /// <summary>Factor of a trace's speed.</summary>
    public double TraceSpeed { get; init; } = 1;
}

/// <summary>Requests that follow each other, each of which begins with all that was said before.</summary>
/// <param name="ArrivalSeconds">When the first is sent, from the load's start; null: when there is room.</param>
/// <param name="System">Text before the first turn; may be empty.</param>
/// <param name="Turns">The turns.</param>
internal sealed record LoadSession(double? ArrivalSeconds, string System, IReadOnlyList<LoadTurn> Turns);

/// <summary>One request.</summary>
/// <param name="Text">What the user adds.</param>
/// <param name="OutputTokens">Tokens of the answer.</param>
internal readonly record struct LoadTurn(string Text, int OutputTokens);

/// <summary>Sessions to run against a server.</summary>
/// <param name="Name">The load's name.</param>
/// <param name="Description">Its sizes, in words.</param>
/// <param name="Sessions">In the order in which they start.</param>
/// <param name="Concurrency">Sessions at a time.</param>
/// <param name="Interleave">Whether a session goes to the end of the queue after each turn.</param>
internal sealed record ServingLoad(string Name, string Description, IReadOnlyList<LoadSession> Sessions, int Concurrency, bool Interleave)
{
    /// <summary>Requests in all.</summary>
    public int Requests => Sessions.Sum(session => session.Turns.Count);
}
