using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Kvasir.Simulation;

/// <summary>Simulations are one thread's each; several run beside each other.</summary>
internal static class ParallelRuns
{
    /// <summary>Runs all, as many at a time as there are processors.</summary>
    /// <returns>What came out, in the order of the runs.</returns>
    public static ImmutableArray<PolicyFigures> Of(ImmutableArray<Func<PolicyFigures>> runs)
    {
        var results = new PolicyFigures[runs.Length];
        // One by one: runs take unlike times.
        var numbers = Partitioner.Create(Enumerable.Range(0, runs.Length), EnumerablePartitionerOptions.NoBuffering);
        Parallel.ForEach(numbers, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, number => results[number] = runs[number]());
        return ImmutableCollectionsMarshal.AsImmutableArray(results);
    }
}
