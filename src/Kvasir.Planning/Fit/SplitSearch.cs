using Kvasir.Checkpoints;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Hardware;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Fit;

/// <summary>Finds how to spread a model over GPUs, and which GPUs would do.</summary>
public static class SplitSearch
{
    /// <summary>GPUs that a fast link joins, in one machine.</summary>
    private const int MachineGpus = 8;

    /// <summary>
    /// The best split over exactly so many GPUs: one that fits before one that does not, then the fastest at decoding;
    /// null where the model cannot be divided so.
    /// </summary>
    public static Parallelism? Best(PlanRequest request, int gpus)
    {
        if (request.Gpu.MigProfile is not null && gpus > 1) return null;
        return Splits(request, gpus)
            .Select(split => (Split: split, Request: request with { Gpus = gpus, Options = request.Options with { Parallelism = split } }))
            .Where(candidate => MemoryPlanner.Obstacle(candidate.Request) is null)
            .OrderByDescending(candidate => MemoryPlanner.Fits(candidate.Request))
            .ThenByDescending(candidate => Speed(candidate.Request))
            .ThenBy(candidate => candidate.Split.Pipeline)
            .ThenBy(candidate => candidate.Split.Experts)
            .Select(candidate => candidate.Split)
            .FirstOrDefault();
    }

    /// <summary>The fewest GPUs, up to <paramref name="most"/>, on which it fits, with the split; null where none suffices.</summary>
    public static PlanRequest? Fewest(PlanRequest request, int most)
    {
        var least = ShardedWeights.Of(request.Model, request.Options.Quantization, new Parallelism()).Total - request.Options.OffloadBytes;
        for (var gpus = 1; gpus <= most; gpus *= 2)
            if (least / gpus < request.Gpu.Bytes && Best(request, gpus) is { } split && request with { Gpus = gpus, Options = request.Options with { Parallelism = split } } is var candidate && MemoryPlanner.Fits(candidate))
                return candidate;
        return null;
    }

    /// <summary>Every kind of GPU with the fewest of it that fit, least memory in all first.</summary>
    public static IEnumerable<PlanRequest> Cheapest(PlanRequest request, IEnumerable<Gpu> gpus, int most = MachineGpus) =>
        gpus.Select(gpu => Fewest(request with { Gpu = gpu }, gpu.Unified ? 1 : most)).OfType<PlanRequest>()
            .OrderBy(found => found.Gpu.Bytes * found.Gpus).ThenBy(found => found.Gpus);

    private static IEnumerable<Parallelism> Splits(PlanRequest request, int gpus)
    {
        // llama.cpp gives each device whole layers; tensor parallelism is the others'.
        if (request.Engine.Plain is LlamaCppRules) return [new Parallelism(1, gpus)];
        var experts = request.Model.Layers.Any(layer => layer.FeedForward is ExpertFeedForwardSpec);
        return Enumerable.Range(0, 16).Select(power => 1 << power).Where(tensor => tensor <= Math.Min(gpus, MachineGpus) && gpus % tensor == 0)
            .SelectMany(tensor => (Parallelism[])[new(tensor, gpus / tensor), .. experts && tensor > 1 ? [new Parallelism(tensor, gpus / tensor, Experts: true)] : Array.Empty<Parallelism>()]);
    }

    private static double Speed(PlanRequest request) =>
        Roofline.Of(request, request.Engine.Estimate(request.Model, request.Device, request.Options))?.DecodeTokensPerSecond ?? 0;
}
