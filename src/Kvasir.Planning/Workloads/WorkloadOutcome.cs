using System.Collections.Immutable;

namespace Kvasir.Planning.Workloads;

/// <summary>Memory at one moment of a workload.</summary>
/// <param name="Seconds">From the workload's start.</param>
/// <param name="UsedBytes">Of the pool, by requests that run.</param>
/// <param name="KeptBytes">Of the pool, by finished requests' prefixes that may come again.</param>
/// <param name="Running">Requests that run.</param>
/// <param name="Queued">Requests that wait.</param>
public readonly record struct WorkloadSample(double Seconds, long UsedBytes, long KeptBytes, int Running, int Queued);

/// <summary>What became of a workload: when the cache filled, what waited, what was lost.</summary>
public sealed record WorkloadOutcome
{
    /// <summary>Bytes of the pool on each GPU.</summary>
    public required long PoolBytes { get; init; }
    /// <summary>Requests in all.</summary>
    public required int Requests { get; init; }
    /// <summary>Requests longer than the context or the pool, which no waiting helps.</summary>
    public required int Refused { get; init; }
    /// <summary>Requests answered to the end.</summary>
    public required int Finished { get; init; }
    /// <summary>When the last answer ended, or when waiting was given up.</summary>
    public required double Seconds { get; init; }
    /// <summary>When requests first filled the pool so that one had to wait or to be put back; null where that never happened.</summary>
    public required double? FullAtSeconds { get; init; }
    /// <summary>Time in which a request waited because the pool was full.</summary>
    public required double WaitedForMemorySeconds { get; init; }
    /// <summary>Time in which a request waited because as many ran as the engine takes.</summary>
    public required double WaitedForSlotSeconds { get; init; }
    /// <summary>Times a running request was put back because the pool was full; all it had computed was lost.</summary>
    public required int Preemptions { get; init; }
    /// <summary>Most that running requests used.</summary>
    public required long PeakUsedBytes { get; init; }
    /// <summary>Most requests that ran together.</summary>
    public required int PeakRunning { get; init; }
    /// <summary>Most requests that waited together.</summary>
    public required int PeakQueued { get; init; }
    /// <summary>Tokens of all prompts that were admitted, each time.</summary>
    public required long PromptTokens { get; init; }
    /// <summary>Of these, tokens whose keys and values were still there.</summary>
    public required long ReusedTokens { get; init; }
    /// <summary>Of these, tokens whose keys and values had been there and were dropped for want of room: what offloading would save from being computed again.</summary>
    public required long LostTokens { get; init; }
    /// <summary>Bytes per GPU that a tier would need to keep every prefix.</summary>
    public required long KeepAllBytes { get; init; }
    /// <summary>Seconds of computing that <see cref="LostTokens"/> cost.</summary>
    public required double LostSeconds { get; init; }
    /// <summary>Half of the first tokens came sooner.</summary>
    public required double MedianFirstTokenSeconds { get; init; }
    /// <summary>Nineteen of twenty first tokens came sooner.</summary>
    public required double SlowFirstTokenSeconds { get; init; }
    /// <summary>Memory over time, evenly spaced.</summary>
    public required ImmutableArray<WorkloadSample> Samples { get; init; }

    /// <summary>Requests that had no whole answer when waiting was given up.</summary>
    public int Unfinished => Requests - Refused - Finished;
}
