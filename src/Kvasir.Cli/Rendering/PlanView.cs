using System.Collections.Immutable;
using Kvasir.Checkpoints;
using Kvasir.Cli.Planning;
using Kvasir.Planning;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Fit;
using Kvasir.Planning.Weights;

namespace Kvasir.Cli.Rendering;

/// <summary>A part of the stacked bar.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Bytes">Likely bytes and bounds.</param>
/// <param name="Mark">The character that fills it.</param>
/// <param name="Color">Its colour in HTML.</param>
internal sealed record PlanPart(string Name, Band Bytes, char Mark, string Color);

/// <summary>A plan with what every format shows of it.</summary>
internal sealed class PlanView(MemoryPlan plan, PlannedModel model)
{
    public MemoryPlan Plan => plan;
    public PlannedModel Model => model;
    /// <summary>A workload that was played on the plan, and what became of it.</summary>
    public (string Title, Kvasir.Planning.Workloads.WorkloadOutcome Outcome)? Workload { get; init; }
    public MemoryEstimate Estimate => plan.Estimate;
    public Parallelism Split => plan.Request.Options.Parallelism;

    /// <summary>The bar of the fullest GPU, from the bottom; what is left comes last.</summary>
    public ImmutableArray<PlanPart> Parts =>
    [
        new("weights", Estimate.Weights, '█', "#3b6fb5"),
        new("KV cache", Cache, '▓', "#4fa36b"),
        new("activations", Estimate.Activations, '▒', "#d99a3d"),
        new("graphs", Estimate.Graphs, '░', "#a8709f"),
        new("overhead", Estimate.Overhead + Band.Exactly(plan.Request.Gpu.ContextBytes), '+', "#8a8f98"),
    ];

    /// <summary>What the engine gives the cache; where it does not fit, what the asked requests need.</summary>
    public Band Cache => plan.Fits
        ? new(Math.Max(0, Estimate.PoolLow), plan.Pool, Math.Max(0, Estimate.PoolHigh))
        : Band.Exactly(plan.KvNeeded);

    public string Title => $"{model.Name} on {plan.Request.Gpus} × {plan.Request.Gpu.Name}, {plan.Request.Engine.Name} {Estimate.Version}";

    public string SplitText => string.Join(", ", (string[])
        [$"tensor parallel {Split.Tensor}", $"pipeline parallel {Split.Pipeline}", .. Split.Experts ? ["expert parallel"] : Array.Empty<string>()]);

    public long Parameters { get; } = model.Spec.ParameterCount > 0 ? model.Spec.ParameterCount : WeightInventory.Parameters(model.Spec);

    /// <summary>Launch commands of every engine that runs this kind of checkpoint.</summary>
    public IReadOnlyList<(string Engine, string Command)> Launch => [.. EngineCatalogue.All
        .Where(engine => engine.Name == plan.Request.Engine.Name || (engine is not KvasirRules && plan.Request.Engine.Plain is not KvasirRules && model.Gguf == engine is LlamaCppRules))
        .OrderByDescending(engine => engine.Name == plan.Request.Engine.Name)
        .Select(engine => engine.Name == plan.Request.Engine.Name ? plan.Request.Engine : engine)
        .Select(engine => engine == plan.Request.Engine ? plan.Request : plan.Request with
        {
            // Another engine's version and share mean nothing to it.
            Engine = engine, Options = plan.Request.Options with { Version = null, Utilization = null },
        })
        .Where(MemoryPlanner.Fits)
        .Select(request => (request.Engine.Name, MemoryPlanner.Command(request)))];

    /// <summary>Bytes per parameter that the rule of thumb takes for this storage.</summary>
    public double BytesPerParameter => (plan.Request.Options.Quantization is { Gguf.Base: var type } ? type.BlockBytes * 8.0 / type.Length : plan.Request.Options.Quantization.Format.BitsPerWeight()) / 8;

    public ByteSize ThumbWeights => RulesOfThumb.Weights(Parameters, BytesPerParameter);

    public ByteSize ThumbKv => RulesOfThumb.KvCache(plan.Request.Concurrency, plan.Context, model.Spec, plan.Request.Options.KvType.BytesPerElement);

    /// <summary>Exact bytes of keys and values of the asked requests over all GPUs, before an engine rounds them.</summary>
    public long ExactKv => (KvOf(plan.Request.Options.KvType) + KvOf(plan.Request.Options.ValueKvType ?? plan.Request.Options.KvType)) / 2 * plan.Request.Concurrency;

    // Keys and values of the models that keep them apart are of one size.
    private long KvOf(Kvasir.Planning.KvCache.KvType type) => Kvasir.Planning.KvCache.KvShape.BytesPerRequest(model.Spec, type, plan.Context);
}
