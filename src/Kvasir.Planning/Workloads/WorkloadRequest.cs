using System.Collections.Immutable;

namespace Kvasir.Planning.Workloads;

/// <summary>One request of a workload.</summary>
/// <param name="ArrivalSeconds">When it comes, from the workload's start.</param>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="AnswerTokens">Tokens that are generated.</param>
/// <param name="Blocks">Names of the blocks, the prompt's first and the answer's where they are known: equal names mean equal tokens up to the block's end. Empty where nothing is known of sharing.</param>
public readonly record struct WorkloadRequest(double ArrivalSeconds, int PromptTokens, int AnswerTokens, ImmutableArray<long> Blocks)
{
    /// <summary>Tokens that one name of <see cref="Blocks"/> stands for.</summary>
    public const int BlockTokens = 512;

    /// <summary>The conversation that it is a turn of, or null: a turn comes only when the one before has been answered.</summary>
    public int? Conversation { get; init; }

    /// <summary>Seconds between the answer to the turn before and this one.</summary>
    public double PauseSeconds { get; init; }

    /// <summary>Prompt and answer.</summary>
    public int TotalTokens => PromptTokens + AnswerTokens;
}

/// <summary>A trace that cannot be read; the message names the line and what was expected.</summary>
public sealed class WorkloadException : Exception
{
    /// <summary>Creates the error.</summary>
    public WorkloadException(string message, Exception? inner = null) : base(message, inner) { }
}
