using System.Collections.Immutable;
using Kvasir.Planning.Engines;

namespace Kvasir.Planning.Fit;

/// <summary>Speeds that memory, arithmetic and links allow (memory model §8): at best, not measured.</summary>
/// <param name="DecodeTokensPerSecond">One request alone at half the context.</param>
/// <param name="BatchTokensPerSecond">All asked requests together, at half the context each.</param>
/// <param name="PrefillTokensPerSecond">Reading a prompt of one chunk.</param>
/// <param name="FirstTokenSeconds">Reading a prompt of the full context, alone.</param>
/// <param name="Assumptions">What the numbers rest on.</param>
public sealed record Roofline(double DecodeTokensPerSecond, double BatchTokensPerSecond, double PrefillTokensPerSecond, double FirstTokenSeconds, ImmutableArray<string> Assumptions)
{
    /// <summary>The bounds, or null where the GPU's bandwidth or arithmetic is not known.</summary>
    public static Roofline? Of(PlanRequest request, MemoryEstimate estimate)
    {
        if (StepTimes.Of(request) is not { } work) return null;
        var p = request.Options.Parallelism;
        var middle = Math.Max(1, estimate.Context / 2);
        var one = work.DecodeSeconds(1, middle);
        var batch = work.DecodeSeconds(request.Concurrency, middle);
        var chunk = Math.Min(estimate.MaxBatchedTokens, estimate.Context);
        var first = 0.0;
        for (long done = 0; done < estimate.Context; done += chunk) first += work.PrefillSeconds(Math.Min(chunk, estimate.Context - done), done);
        return new Roofline(1 / one, request.Concurrency / batch, chunk / work.PrefillSeconds(chunk, 0), first,
        [
            $"{StepTimes.BandwidthShare * 100:0} % of the memory bandwidth, {StepTimes.ComputeShare * 100:0} % of the dense arithmetic",
            $"{StepTimes.LayerSeconds * 1e6:0} µs per layer for launches" + (p.Tensor > 1 ? $", two all-reduces per layer of at least {StepTimes.LinkLatencySeconds * 1e6:0} µs" : ""),
            "half the context filled while decoding; no queue, no speculation",
        ]);
    }
}
