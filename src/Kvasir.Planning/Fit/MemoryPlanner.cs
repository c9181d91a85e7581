using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Planning.Engines;

namespace Kvasir.Planning.Fit;

/// <summary>Says whether a model fits, and if not, which byte is too many and what to do about it.</summary>
public static class MemoryPlanner
{
    /// <summary>Plans exactly what was asked.</summary>
    /// <exception cref="PlanException">The model cannot be divided so, or a number makes no sense.</exception>
    public static MemoryPlan Plan(PlanRequest request) => Plan(request, withFixes: true);

    internal static MemoryPlan Plan(PlanRequest request, bool withFixes)
    {
        Check(request);
        var estimate = request.Engine.Estimate(request.Model, request.Device, request.Options);
        var reason = Reason(request, estimate);
        return new MemoryPlan
        {
            Request = request,
            Estimate = estimate,
            Fits = reason is null,
            Reasons = reason is null ? [] : [reason],
            Fixes = reason is null || !withFixes ? [] : [.. FixSearch.For(request, estimate)],
            Throughput = Roofline.Of(request, estimate),
        };
    }

    /// <summary>Whether it fits, without looking for what would help; a split or an option that cannot be had does not.</summary>
    public static bool Fits(PlanRequest request) => Obstacle(request) is null && Reason(request, request.Engine.Estimate(request.Model, request.Device, request.Options)) is null;

    private static void Check(PlanRequest request)
    {
        if (request.Options.Context is <= 0) throw new PlanException($"A context of {request.Options.Context} tokens cannot be served; give a positive number, such as --context 8k.");
        if (request.Concurrency <= 0) throw new PlanException($"{request.Concurrency} requests together make no sense; give a positive --concurrency.");
        if (request.Options.Utilization is <= 0 or > 1) throw new PlanException(string.Create(CultureInfo.InvariantCulture, $"--utilization is a share between 0 and 1, such as 0.9; {request.Options.Utilization} was given."));
        if (request.Options.MaxSequences is <= 0 || request.Options.MaxBatchedTokens is <= 0) throw new PlanException("--max-seqs and --max-batched-tokens must be positive.");
        if (request.Options.Version is { } version && !version.Any(char.IsAsciiDigit)) throw new PlanException($"--engine-version '{version}' is no version; write it as the engine does, such as 0.11.");
        if (Obstacle(request) is { } obstacle) throw new PlanException(obstacle);
    }

    /// <summary>The command that starts it, with a cache for the asked requests.</summary>
    public static string Command(PlanRequest request)
    {
        var estimate = request.Engine.Estimate(request.Model, request.Device, request.Options);
        return request.Engine.LaunchCommand(request.ModelName, estimate with { WantedBytes = estimate.ContextBytes * request.Concurrency }, request.Options);
    }

    internal static string? Obstacle(PlanRequest request) =>
        request.Options.Parallelism.Obstacle(request.Model, request.Options.Quantization) ?? request.Engine.Obstacle(request.Options);

    /// <summary>The first thing that is too large, in the order in which an engine meets them; null where nothing is.</summary>
    private static string? Reason(PlanRequest request, MemoryEstimate estimate)
    {
        var gpu = $"each {request.Gpu.Name}";
        var budget = $"{new ByteSize(estimate.Budget)} that {request.Engine.Name} may use of {gpu} ({new ByteSize(request.Gpu.Bytes)})";
        if (estimate.RequiredFree > request.FreeAtStart)
        {
            var others = request.UsedBytes > 0 ? $" ({new ByteSize(request.UsedBytes)} are held by other programs)" : "";
            return $"{request.Engine.Name} starts only where {new ByteSize(estimate.RequiredFree)} are free, {new ByteSize(estimate.RequiredFree - request.FreeAtStart)} more than the {new ByteSize(request.FreeAtStart)} that are free of {gpu}{others}. Give it a smaller share (--utilization){(request.UsedBytes > 0 ? " or end what else runs there" : "")}.";
        }
        if (estimate.Weights.Likely > estimate.Budget)
            return $"The weights alone take {new ByteSize(estimate.Weights.Likely)}, {new ByteSize(estimate.Weights.Likely - estimate.Budget)} more than the {budget}.";
        if (estimate.Fixed > estimate.Budget)
            return $"Weights ({new ByteSize(estimate.Weights.Likely)}), activations ({new ByteSize(estimate.Activations.Likely)}), graphs ({new ByteSize(estimate.GraphsInside ? estimate.Graphs.Likely : 0)}) and overhead ({new ByteSize(estimate.Overhead.Likely)}) together take {new ByteSize(estimate.Fixed - estimate.Budget)} more than the {budget}: nothing is left for the KV cache.";
        var left = estimate.Budget - estimate.Fixed;
        var one = estimate.FixedPool ?? estimate.ContextBytes;
        if (one > left)
        {
            var longest = estimate.Layout.MaxContext(left, estimate.Context);
            return $"One request of {Count(estimate.Context)} tokens needs {new ByteSize(one)} of KV cache, {new ByteSize(one - left)} more than the {new ByteSize(left)} that weights, activations and overhead leave; the longest that fits has {Count(longest)} tokens.";
        }
        if (estimate.FixedPool is null && estimate.ContextBytes * request.Concurrency > left)
        {
            var most = (long)estimate.Layout.Concurrency(left, estimate.Context);
            return $"{request.Concurrency} requests of {Count(estimate.Context)} tokens need {new ByteSize(estimate.ContextBytes * request.Concurrency)} of KV cache, {new ByteSize((estimate.ContextBytes * request.Concurrency) - left)} more than the {new ByteSize(left)} there is: {most} fit together.";
        }
        return null;
    }

    private static string Count(long tokens) => tokens.ToString("N0", CultureInfo.InvariantCulture);
}

/// <summary>A plan that cannot be made; the message says what to change.</summary>
public sealed class PlanException : Exception
{
    /// <summary>Creates the error.</summary>
    public PlanException(string message) : base(message) { }
}
