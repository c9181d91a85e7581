using System.Collections.Immutable;
using Kvasir.Planning.Engines;

namespace Kvasir.Planning.Calibration;

/// <summary>One component of a start: what was planned and what the engine logged.</summary>
/// <param name="Name">"weights", "activations", "graphs", "overhead", "KV cache", "KV tokens".</param>
/// <param name="Planned">Bytes, or tokens, that the plan held likely.</param>
/// <param name="Low">The plan's lower bound.</param>
/// <param name="High">The plan's upper bound.</param>
/// <param name="Logged">What the engine printed.</param>
public sealed record ComparedComponent(string Name, long Planned, long Low, long High, long Logged)
{
    /// <summary>Logged less planned.</summary>
    public long Difference => Logged - Planned;
    /// <summary>Difference as a share of what was logged; 0 where nothing was.</summary>
    public double Error => Logged == 0 ? 0 : -Difference / (double)Logged;
    /// <summary>Whether the log lies within the plan's bounds, give or take the two decimals that engines print.</summary>
    public bool WithinBounds => Logged >= Low - Rounding && Logged <= High + Rounding;

    private const long Rounding = 11L << 20;
}

/// <summary>A plan against the log of the start that it was to predict.</summary>
/// <param name="Components">Those that the log tells.</param>
public sealed record LogComparison(ImmutableArray<ComparedComponent> Components)
{
    /// <summary>The component outside its bounds that is off by most bytes; null where all lie within.</summary>
    public ComparedComponent? MostOff => Components.Where(part => !IsPool(part) && !part.WithinBounds).MaxBy(part => Math.Abs(part.Difference));

    /// <summary>Compares component by component.</summary>
    public static LogComparison Of(MemoryEstimate estimate, EngineLog log)
    {
        var parts = ImmutableArray.CreateBuilder<ComparedComponent>();
        Add("weights", estimate.Weights, log.WeightBytes);
        Add("activations", estimate.Activations, log.ActivationBytes);
        Add("graphs", estimate.Graphs, log.GraphBytes);
        Add("overhead", estimate.Overhead, log.OverheadBytes);
        Add("KV cache", new Band(estimate.PoolLow, estimate.Pool, estimate.PoolHigh), log.PoolBytes);
        if (log.PoolTokens is { } tokens)
            parts.Add(new("KV tokens", Tokens(estimate.Pool), Tokens(estimate.PoolLow), Tokens(estimate.PoolHigh), tokens));
        return new LogComparison(parts.ToImmutable());

        void Add(string name, Band planned, long? logged)
        {
            if (logged is { } bytes) parts.Add(new(name, planned.Likely, planned.Low, planned.High, bytes));
        }

        long Tokens(long pool) => estimate.Layout.CapacityTokens(Math.Max(0, pool), estimate.Context);
    }

    // What is left for the cache follows from the others.
    private static bool IsPool(ComparedComponent part) => part.Name.StartsWith("KV", StringComparison.Ordinal);
}
