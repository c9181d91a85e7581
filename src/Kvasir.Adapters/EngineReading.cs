namespace Kvasir.Adapters;

/// <summary>What an engine's metrics say. A figure that the engine does not tell is null, never zero.</summary>
public sealed record EngineReading
{
    /// <summary>Sequences in the running batch.</summary>
    public double? Running { get; init; }
    /// <summary>Requests that wait for admission.</summary>
    public double? Waiting { get; init; }
    /// <summary>Requests that have not ended, wherever the engine keeps them: 0 says that it is empty.</summary>
    public double? Unfinished { get; init; }
    /// <summary>Share of the KV cache that running sequences reference, 0 to 1.</summary>
    public double? KvUsedRatio { get; init; }
    /// <summary>Tokens that the KV cache holds at most.</summary>
    public double? CapacityTokens { get; init; }
    /// <summary>Tokens per KV block.</summary>
    public double? BlockSize { get; init; }
    /// <summary>Prompt tokens looked up in the prefix cache since the start.</summary>
    public double? PrefixQueryTokens { get; init; }
    /// <summary>Prompt tokens found in the prefix cache since the start.</summary>
    public double? PrefixHitTokens { get; init; }
    /// <summary>Sequences that gave way to others since the start.</summary>
    public double? Preemptions { get; init; }
    /// <summary>When the process started, in seconds since 1970, where it says so.</summary>
    public double? StartedSeconds { get; init; }

    /// <summary>
    /// Whether another process tells this than told <paramref name="before"/>: it started later, or something counted
    /// since the start has become less.
    /// </summary>
    public bool IsOfAnotherProcess(EngineReading before) =>
        StartedSeconds > before.StartedSeconds + 1 || PrefixQueryTokens < before.PrefixQueryTokens || PrefixHitTokens < before.PrefixHitTokens || Preemptions < before.Preemptions;
}
