using System.Collections.Immutable;
using System.Globalization;
using Kvasir.Planning.Engines;

namespace Kvasir.Planning.Fit;

/// <summary>The answer: whether it fits, why not, what would help, and what to start.</summary>
public sealed record MemoryPlan
{
    /// <summary>What was asked, with the split that was chosen.</summary>
    public required PlanRequest Request { get; init; }
    /// <summary>Where the memory of the fullest GPU goes.</summary>
    public required MemoryEstimate Estimate { get; init; }
    /// <summary>Whether the engine starts and serves the asked requests together.</summary>
    public required bool Fits { get; init; }
    /// <summary>The one reason first; empty where it fits.</summary>
    public required ImmutableArray<string> Reasons { get; init; }
    /// <summary>What would help, least harm to quality first; empty where it fits.</summary>
    public required ImmutableArray<Fix> Fixes { get; init; }
    /// <summary>How fast, at best; null where the GPU's speed is not known.</summary>
    public required Roofline? Throughput { get; init; }

    /// <summary>What an engine may object to although the bytes fit; empty as a rule.</summary>
    public ImmutableArray<string> Notes => Context <= Request.Model.ContextLength ? []
        : [string.Create(CultureInfo.InvariantCulture, $"{Request.Model.Name} was made for {Request.Model.ContextLength:N0} tokens: engines refuse {Context:N0} unless its rope scaling is configured for them.")];

    /// <summary>Tokens of one request.</summary>
    public long Context => Estimate.Context;
    /// <summary>Bytes that the engine gives the cache on each GPU.</summary>
    public long Pool => Math.Max(0, Estimate.Pool);
    /// <summary>Bytes of cache that the asked requests need on each GPU.</summary>
    public long KvNeeded => Estimate.FixedPool ?? Estimate.Layout.RequestBytes(Context) * Request.Concurrency;
    /// <summary>Bytes needed on each GPU, apart from what the engine reserves because it may.</summary>
    public long Needed => Estimate.Fixed + KvNeeded;
    /// <summary>Tokens that the cache holds.</summary>
    public long CapacityTokens => Estimate.Layout.CapacityTokens(Pool, Context);
    /// <summary>Requests of the full context that fit together.</summary>
    public double MaxConcurrency => Estimate.FixedPool is null ? Estimate.Layout.Concurrency(Pool, Context) : Estimate.MaxSequences;
    /// <summary>The longest single request, at most what the model was made for.</summary>
    public long MaxContext => Estimate.Layout.MaxContext(Estimate.FixedPool is null ? Pool : Math.Max(0, Estimate.Budget - Estimate.Fixed), Math.Max(Request.Model.ContextLength, Context));
    /// <summary>Bytes left on each GPU; negative where it does not fit.</summary>
    public long Free => Request.Gpu.Bytes - Request.UsedBytes - Occupied;
    private long Occupied => Estimate.Weights.Likely + Estimate.Activations.Likely + Estimate.Graphs.Likely + Estimate.Overhead.Likely + Request.Gpu.ContextBytes + (Fits ? Pool : KvNeeded);
}
