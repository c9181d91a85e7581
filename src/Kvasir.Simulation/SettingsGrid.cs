using System.Collections.Immutable;
using Kvasir.Engine.KvCache;
using Kvasir.Gateway.Policies;
using Kvasir.Simulation.Traces;
using Kvasir.Simulation.Workers;

namespace Kvasir.Simulation;

/// <summary>One setting of the grid and how the default did there.</summary>
/// <param name="Setting">What it is.</param>
/// <param name="Default">The default's figures.</param>
/// <param name="Best">The lowest mean TTFT among the others.</param>
/// <param name="LeastRequests">For comparing the tail.</param>
public sealed record GridPoint(string Setting, PolicyFigures Default, PolicyFigures Best, PolicyFigures LeastRequests)
{
    /// <summary>The default's mean TTFT over the best other's: below 1 is better.</summary>
    public double MeanRatio => Default.TtftMeanSeconds / Best.TtftMeanSeconds;

    /// <summary>The default's p99 TTFT over that of least-requests.</summary>
    public double TailRatio => Default.TtftP99Seconds / LeastRequests.TtftP99Seconds;
}

/// <summary>Tries the default against every other policy where it could be wrong: few and many workers, small and large caches, quiet and busy, unequal speeds, wrong rates.</summary>
public static class SettingsGrid
{
    private static readonly (double Unequal, double RateError)[] Changes = [(1, 1), (2, 1), (1, 0.25), (1, 0.5), (1, 2), (1, 4)];

    /// <summary>Every setting, one after another.</summary>
    public static IEnumerable<GridPoint> Run(Trace trace, WorkerSpeed speed, EvictionKind eviction, int seed)
    {
        foreach (var workers in (int[])[4, 8, 16, 32])
            foreach (var cache in (double[])[0.5, 1, 3])
                foreach (var arrivals in (double[])[0.5, 1, 1.3])
                {
                    var sized = speed with { CapacityTokens = (long)(speed.CapacityTokens * cache) };
                    var scenario = new FleetScenario { Workers = [.. Enumerable.Repeat(sized, workers)], Eviction = eviction, ArrivalFactor = arrivals, Seed = seed };
                    foreach (var (change, figures) in Changes.Zip(Run(trace, scenario)))
                        yield return Point($"{workers} workers, cache ×{cache}, arrivals ×{arrivals}" + (change.Unequal != 1 ? $", every second ×{change.Unequal}" : "") + (change.RateError != 1 ? $", rates wrong ×{change.RateError}" : ""), figures);
                }
    }

    /// <summary>A setting with every change, under every policy.</summary>
    internal static IEnumerable<ImmutableArray<PolicyFigures>> Run(Trace trace, FleetScenario scenario)
    {
        ImmutableArray<IRoutingPolicy> policies = [.. PolicyCatalog.Names.Select(name => PolicyCatalog.Find(name)!)];
        // Most policies read no rates: wrong ones change nothing for them.
        var wanted = Changes.SelectMany((change, number) => policies.Select((policy, place) => (Change: change, Place: place, From: change.RateError == 1 || policy.ReadsRates ? number : 0))).ToArray();
        var runs = wanted.Where((run, i) => run.From == i / policies.Length).ToArray();
        var results = ParallelRuns.Of([.. runs.Select(run => (Func<PolicyFigures>)(() => FleetSimulator.Run(trace, Changed(scenario, run.Change), policies[run.Place])))]);
        var found = runs.Zip(results).ToDictionary(pair => (pair.First.From, pair.First.Place), pair => pair.Second);
        return wanted.Select(run => found[(run.From, run.Place)]).Chunk(policies.Length).Select(figures => figures.ToImmutableArray());
    }

    private static FleetScenario Changed(FleetScenario scenario, (double Unequal, double RateError) change) => scenario with
    {
        Workers = [.. scenario.Workers.Select((speed, i) => i % 2 == 0 ? speed : speed.Times(change.Unequal))],
        RateError = change.RateError,
    };

    private static GridPoint Point(string setting, ImmutableArray<PolicyFigures> figures) =>
        new(setting, figures[0], figures.Skip(1).MinBy(figure => figure.TtftMeanSeconds)!, figures.Single(figure => figure.Policy == "least-requests"));
}
