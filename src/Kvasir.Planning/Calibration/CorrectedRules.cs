using Kvasir.Checkpoints;
using Kvasir.Planning.Engines;

namespace Kvasir.Planning.Calibration;

/// <summary>An engine's rules, corrected by the logs of real starts.</summary>
/// <param name="rules">The engine's own rules.</param>
/// <param name="corrections">All corrections that are kept.</param>
/// <param name="gpu">The GPU's id in the catalogue.</param>
public sealed class CorrectedRules(EngineRules rules, IReadOnlyCollection<Correction> corrections, string gpu) : EngineRules
{
    /// <inheritdoc/>
    public override string Name => rules.Name;

    /// <inheritdoc/>
    public override EngineRules Plain => rules;

    /// <inheritdoc/>
    public override IReadOnlyList<string> KvTypes => rules.KvTypes;

    /// <inheritdoc/>
    public override bool KeepsValuesApart => rules.KeepsValuesApart;

    /// <inheritdoc/>
    public override string? Obstacle(ServingOptions options) => rules.Obstacle(options);

    /// <summary>The rules themselves where no correction is kept for the engine on this GPU, else the rules as corrected.</summary>
    public static EngineRules Of(EngineRules rules, IReadOnlyCollection<Correction> corrections, string gpu) =>
        corrections.Any(one => one.Engine == rules.Name && one.Gpu == gpu) ? new CorrectedRules(rules, corrections, gpu) : rules;

    /// <inheritdoc/>
    public override MemoryEstimate Estimate(ModelSpec model, Device device, ServingOptions options)
    {
        var estimate = rules.Estimate(model, device, options);
        var sum = CorrectionSum.Of(corrections, rules.Name, options.Version ?? estimate.Version, gpu, Correction.ModelKey(model), options.Parallelism.Gpus > 1);
        return sum?.ApplyTo(estimate) ?? estimate;
    }

    /// <inheritdoc/>
    public override string LaunchCommand(string model, MemoryEstimate estimate, ServingOptions options) => rules.LaunchCommand(model, estimate, options);
}
