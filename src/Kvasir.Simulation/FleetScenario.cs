using System.Collections.Immutable;
using Kvasir.Engine.KvCache;
using Kvasir.Simulation.Workers;

namespace Kvasir.Simulation;

/// <summary>The fleet that a trace is sent to.</summary>
public sealed record FleetScenario
{
    /// <summary>The workers, each with its speed.</summary>
    public required ImmutableArray<WorkerSpeed> Workers { get; init; }
    /// <summary>Arrivals come this many times as fast as in the trace.</summary>
    public double ArrivalFactor { get; init; } = 1;
    /// <summary>What the gateway believes of prefill rates is wrong by this factor.</summary>
    public double RateError { get; init; } = 1;
    /// <summary>Which kept blocks give way first.</summary>
    public EvictionKind Eviction { get; init; } = EvictionKind.Arc;
    /// <summary>All workers share one cache in which everything stays: what no routing can beat.</summary>
    public bool InfiniteCache { get; init; }
    /// <summary>Equal seeds, equal results.</summary>
    public int Seed { get; init; } = 1;
}
