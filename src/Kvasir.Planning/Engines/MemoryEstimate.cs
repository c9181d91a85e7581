namespace Kvasir.Planning.Engines;

/// <summary>Where the memory of one GPU goes under an engine; of several, the fullest.</summary>
public sealed record MemoryEstimate
{
    /// <summary>Bytes the engine allows itself.</summary>
    public required long Budget { get; init; }
    /// <summary>Bytes that must be free when the engine starts, or it refuses to; 0 where it does not look.</summary>
    public long RequiredFree { get; init; }
    /// <summary>Weights, as loaded.</summary>
    public required Band Weights { get; init; }
    /// <summary>The most that computing a step takes.</summary>
    public required Band Activations { get; init; }
    /// <summary>Captured graphs and compute buffers.</summary>
    public required Band Graphs { get; init; }
    /// <summary>Collectives' buffers, libraries' workspaces.</summary>
    public required Band Overhead { get; init; }
    /// <summary>Whether graphs come out of the budget, or out of what the budget leaves free.</summary>
    public required bool GraphsInside { get; init; }
    /// <summary>Whether activations come out of the budget (vLLM) or out of what it leaves free (SGLang).</summary>
    public bool ActivationsInside { get; init; } = true;
    /// <summary>How the cache is laid out.</summary>
    public required KvLayout Layout { get; init; }
    /// <summary>The longest request the engine will be told to take.</summary>
    public required long Context { get; init; }
    /// <summary>Most requests together.</summary>
    public required int MaxSequences { get; init; }
    /// <summary>Most tokens per step.</summary>
    public required int MaxBatchedTokens { get; init; }
    /// <summary>Bytes of keys and values that the engine allocates whatever is free (llama.cpp), or null where it takes all that is left.</summary>
    public long? FixedPool { get; init; }
    /// <summary>The version whose constants were used.</summary>
    public required string Version { get; init; }

    /// <summary>Bytes left for keys, values and states; negative when not even the rest fits.</summary>
    public long Pool => FixedPool ?? Left(Weights.Likely, Activations.Likely, Graphs.Likely, Overhead.Likely);

    /// <summary>The pool with everything else at its highest.</summary>
    public long PoolLow => FixedPool ?? Left(Weights.High, Activations.High, Graphs.High, Overhead.High);

    /// <summary>The pool with everything else at its lowest.</summary>
    public long PoolHigh => FixedPool ?? Left(Weights.Low, Activations.Low, Graphs.Low, Overhead.Low);

    /// <summary>Bytes of cache that the asked requests need together.</summary>
    public long WantedBytes { get; init; }

    /// <summary>The pool to ask for: what is left even with everything else at its highest, but at least what the asked requests need where that is likely to be there.</summary>
    public long ExactPool => Math.Max(PoolLow, Math.Min(Pool, Math.Max(WantedBytes, ContextBytes)));

    /// <summary>Bytes of everything but the cache that must lie inside the budget.</summary>
    public long Fixed => Weights.Likely + Overhead.Likely + (ActivationsInside ? Activations.Likely : 0) + (GraphsInside ? Graphs.Likely : 0);

    /// <summary>Bytes of one request of <see cref="Context"/> tokens.</summary>
    public long ContextBytes => Layout.RequestBytes(Context);

    /// <summary>Bytes needed for one request of the longest length: less than an engine reserves.</summary>
    public long Needed => Fixed + (FixedPool ?? ContextBytes);

    /// <summary>Whether the engine refuses to start when one request of <see cref="Context"/> tokens does not fit; others start and refuse the request.</summary>
    public bool RefusesLongContext { get; init; }

    /// <summary>Whether the engine starts.</summary>
    public bool Starts => RefusesLongContext ? Fits : Pool > 0;

    /// <summary>Whether the engine starts and takes a request of <see cref="Context"/> tokens.</summary>
    public bool Fits => Needed <= Budget;

    private long Left(long weights, long activations, long graphs, long overhead) =>
        Budget - weights - overhead - (ActivationsInside ? activations : 0) - (GraphsInside ? graphs : 0);
}
