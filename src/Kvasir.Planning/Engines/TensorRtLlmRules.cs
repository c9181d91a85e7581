using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Planning.KvCache;

namespace Kvasir.Planning.Engines;

/// <summary>What differs between versions of TensorRT-LLM.</summary>
/// <param name="Major">First version.</param>
/// <param name="FreeFraction">Share of what is free after loading that becomes cache.</param>
/// <param name="BlockTokens">Tokens per block.</param>
/// <param name="MaxTokens">Tokens per step by default.</param>
/// <param name="MaxSequences">Requests by default.</param>
/// <param name="RuntimeMiB">Buffers of runtime and plugins besides activations.</param>
internal sealed record TensorRtLlmConstants(int Major, double FreeFraction, int BlockTokens, int MaxTokens, int MaxSequences, int RuntimeMiB)
{
    public static IReadOnlyList<TensorRtLlmConstants> ByVersion { get; } = [new(0, 0.9, 64, 8192, 256, 256), new(1, 0.9, 32, 8192, 2048, 1024)];
}

/// <summary>TensorRT-LLM: nine tenths of what is free after weights, activations and graphs become cache (memory model §3.3).</summary>
public sealed class TensorRtLlmRules : EngineRules
{
    /// <inheritdoc/>
    public override string Name => "trtllm";

    /// <inheritdoc/>
    public override IReadOnlyList<string> KvTypes { get; } = ["bf16", "fp8", "nvfp4"];

    /// <inheritdoc/>
    public override MemoryEstimate Estimate(ModelSpec model, Device device, ServingOptions options)
    {
        var constants = Minor(options.Version) is not null ? TensorRtLlmConstants.ByVersion[0] : TensorRtLlmConstants.ByVersion[^1];
        int t = options.Parallelism.Tensor, tokens = options.MaxBatchedTokens ?? constants.MaxTokens, sequences = options.MaxSequences ?? constants.MaxSequences;
        var weights = WeightBytes(model, options);
        var inner = model.Layers.Select(layer => layer.FeedForward is DenseFeedForwardSpec dense ? dense.IntermediateSize : 0).Max();
        var activations = (2L * tokens * ((3L * inner / t) + (4L * model.HiddenSize))) + (4L * Math.Min(sequences, tokens) * model.VocabularySize);
        var graphs = options.Eager || constants.Major == 0 ? 0 : (long)(0.5 * (1L << 30));
        long overhead = ((long)constants.RuntimeMiB << 20) + (t > 1 ? 700L << 20 : 0);
        var held = weights + activations + graphs + overhead;
        var left = device.Bytes - device.ContextBytes - device.UsedBytes - held;
        var share = options.Utilization ?? constants.FreeFraction;
        var layers = KvShape.Layers(model, options.KvType, t);
        return new MemoryEstimate
        {
            Version = options.Version ?? "1.0",
            Budget = held + (left > 0 ? (long)(share * left) : left),
            Weights = Band.Around(weights, 0.005, 0.01),
            Activations = Band.Around(activations, 0.3, 0.3),
            Graphs = Band.Around(graphs, 0.5, 1),
            GraphsInside = true,
            Overhead = Band.Around(overhead, 0.5, 0.5),
            Layout = new PagedKvLayout
            {
                BytesPerToken = layers.Sum(layer => layer.BytesPerToken) / Math.Max(1, options.Parallelism.Pipeline),
                BlockTokens = options.BlockSize ?? constants.BlockTokens,
                RequestConstantBytes = layers.Sum(layer => layer.BytesPerSequence),
            },
            Context = options.Context ?? model.ContextLength,
            MaxSequences = sequences,
            MaxBatchedTokens = tokens,
        };
    }

    /// <inheritdoc/>
    public override string LaunchCommand(string model, MemoryEstimate estimate, ServingOptions options)
    {
        var p = options.Parallelism;
        var command = new List<string> { "trtllm-serve", model };
        if (p.Tensor > 1) command.Add($"--tp_size {p.Tensor}");
        if (p.Pipeline > 1) command.Add($"--pp_size {p.Pipeline}");
        if (p.Experts) command.Add($"--ep_size {p.Tensor}");
        command.Add(string.Create(CultureInfo.InvariantCulture,
            $"--max_seq_len {estimate.Context} --max_batch_size {estimate.MaxSequences} --max_num_tokens {estimate.MaxBatchedTokens}"));
        // The cache's size and type have no flag of their own; the file of further options has both.
        var tokens = estimate.Layout.CapacityTokens(Math.Max(0, estimate.ExactPool), estimate.Context);
        command.Add($"--extra_llm_api_options <(echo 'kv_cache_config: {{max_tokens: {tokens}{(options.KvType.Name == "bf16" ? "" : $", dtype: {options.KvType.Name}")}}}')");
        return string.Join(' ', command);
    }
}
