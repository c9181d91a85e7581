using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Planning.KvCache;

namespace Kvasir.Planning.Engines;

/// <summary>What MAX takes by version; its sizes are recalled from its documentation and not measured.</summary>
/// <param name="Version">First version.</param>
/// <param name="Utilization">Default of --device-memory-utilization.</param>
/// <param name="BlockTokens">Tokens per page.</param>
/// <param name="MaxSequences">Requests by default.</param>
/// <param name="MaxTokens">Tokens per step by default.</param>
/// <param name="SignalMiB">Buffers for collectives per device.</param>
internal sealed record MaxConstants(string Version, double Utilization, int BlockTokens, int MaxSequences, int MaxTokens, int SignalMiB)
{
    public static IReadOnlyList<MaxConstants> ByVersion { get; } = [new("25.1", 0.9, 128, 512, 8192, 512)];
}

/// <summary>MAX: a share of what is free, less weights, activations and signal buffers, is cache (memory model §5).</summary>
public sealed class MaxRules : EngineRules
{
    /// <inheritdoc/>
    public override string Name => "max";

    /// <inheritdoc/>
    public override IReadOnlyList<string> KvTypes { get; } = ["bf16"];

    /// <inheritdoc/>
    public override string? Obstacle(ServingOptions options) =>
        options.Parallelism.Pipeline > 1 || options.Parallelism.Experts ? "max divides a model by tensor parallelism alone; give --tp." : base.Obstacle(options);

    /// <inheritdoc/>
    public override MemoryEstimate Estimate(ModelSpec model, Device device, ServingOptions options)
    {
        var constants = MaxConstants.ByVersion[^1];
        int t = options.Parallelism.Tensor, tokens = options.MaxBatchedTokens ?? constants.MaxTokens, sequences = options.MaxSequences ?? constants.MaxSequences;
        var weights = WeightBytes(model, options);
        var inner = model.Layers.Select(layer => layer.FeedForward is DenseFeedForwardSpec dense ? dense.IntermediateSize : 0).Max();
        var activations = (2L * tokens * ((3L * inner / t) + (4L * model.HiddenSize))) + (4L * sequences * model.VocabularySize);
        var layers = KvShape.Layers(model, options.KvType, t);
        return new MemoryEstimate
        {
            Version = options.Version ?? constants.Version,
            Budget = (long)(Math.Max(0, device.Bytes - device.ContextBytes - device.UsedBytes) * (options.Utilization ?? constants.Utilization)),
            Weights = Band.Around(weights, 0.005, 0.02),
            Activations = Band.Around(activations, 0.5, 1),
            Graphs = Band.Exactly(0),
            GraphsInside = true,
            Overhead = Band.Around(t > 1 ? (long)constants.SignalMiB << 20 : 0, 0, 1),
            Layout = new PagedKvLayout { BytesPerToken = layers.Sum(layer => layer.BytesPerToken), BlockTokens = options.BlockSize ?? constants.BlockTokens, RequestConstantBytes = layers.Sum(layer => layer.BytesPerSequence) },
            Context = options.Context ?? model.ContextLength,
            MaxSequences = sequences,
            MaxBatchedTokens = tokens,
        };
    }

    /// <inheritdoc/>
    public override string LaunchCommand(string model, MemoryEstimate estimate, ServingOptions options)
    {
        var devices = options.Parallelism.Tensor > 1 ? " --devices gpu:" + string.Join(',', Enumerable.Range(0, options.Parallelism.Tensor)) : "";
        return string.Create(CultureInfo.InvariantCulture,
            $"max serve --model {model}{devices} --max-length {estimate.Context} --max-batch-size {estimate.MaxSequences} --max-batch-input-tokens {estimate.MaxBatchedTokens} --device-memory-utilization {options.Utilization ?? 0.9:0.##}");
    }
}
