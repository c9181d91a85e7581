using System.Collections.Immutable;
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
    /// <summary>Every setting, one after another.</summary>
    public static IEnumerable<GridPoint> Run(Trace trace, WorkerSpeed speed, int seed)
    {
        foreach (var workers in (int[])[4, 8, 16, 32])
            foreach (var cache in (double[])[0.5, 1, 3])
                foreach (var arrivals in (double[])[0.5, 1, 1.3])
                {
                    // Most policies read no rates: wrong ones change nothing for them.
                    ImmutableArray<PolicyFigures> right = [];
                    foreach (var (unequal, error) in ((double, double)[])[(1, 1), (2, 1), (1, 0.25), (1, 0.5), (1, 2), (1, 4)])
                    {
                        var sized = speed with { CapacityTokens = (long)(speed.CapacityTokens * cache) };
                        var scenario = new FleetScenario
                        {
                            Workers = [.. Enumerable.Range(0, workers).Select(i => i % 2 == 0 ? sized : sized.Times(unequal))],
                            ArrivalFactor = arrivals, RateError = error, Seed = seed,
                        };
                        var figures = PolicyCatalog.Names.Select((name, number) => PolicyCatalog.Find(name)!.ReadsRates || error == 1
                            ? FleetSimulator.Run(trace, scenario, PolicyCatalog.Find(name)!) : right[number]).ToImmutableArray();
                        if (error == 1 && unequal == 1) right = figures;
                        yield return Point($"{workers} workers, cache ×{cache}, arrivals ×{arrivals}" + (unequal != 1 ? $", every second ×{unequal}" : "") + (error != 1 ? $", rates wrong ×{error}" : ""), figures);
                    }
                }
    }

    private static GridPoint Point(string setting, ImmutableArray<PolicyFigures> figures) =>
        new(setting, figures[0], figures.Skip(1).MinBy(figure => figure.TtftMeanSeconds)!, figures.Single(figure => figure.Policy == "least-requests"));
}
