using Kvasir.Checkpoints;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Engines;

/// <summary>vLLM: a share of the whole device, less what a profiling run at full batch took, is cache (memory model §3.1, §4.1, §5).</summary>
public sealed class VllmRules : EngineRules
{
    private const double Gibibyte = 1L << 30;
    // cuBLAS and the runtime's own, growing with the batch that is profiled: fitted on H100 logs of 0.11 and 0.19 and A100, L40S ones.
    private const long BaseBytesPerToken = 12_800;
    private const int LongPromptTokens = 32_768;

    /// <inheritdoc/>
    public override string Name => "vllm";

    /// <inheritdoc/>
    public override MemoryEstimate Estimate(ModelSpec model, Device device, ServingOptions options)
    {
        var minor = Minor(options.Version);
        var constants = VllmConstants.For(minor);
        var context = options.Context ?? model.ContextLength;
        var old = minor < VllmConstants.FirstChunked || (options.Version?.Contains("V0", StringComparison.Ordinal) ?? false);
        var (tokens, sequences) = Batch(model, device, options, context, old, constants);
        var weights = options.KnownWeightBytes ?? (WeightBytes(model, options) + LoadExtras(model, options));
        weights = Math.Max(0, weights - options.OffloadBytes);
        var activations = Activations(model, options, constants, tokens, sequences, old);
        var graphs = options.Eager ? 0 : (long)((0.3 * Gibibyte) + (0.01 * weights)) * (device.ComputeCapability is >= 10 and < 11 ? 2 : 1);
        var parallel = options.Parallelism.Gpus > 1;
        var tensor = options.Parallelism.Tensor > 1;
        var other = (long)(tensor ? device.FastLink ? constants.OtherLinkedMiB : constants.OtherPcieMiB : constants.OtherMiB) << 20;
        var multimodal = model.EncoderParameters > 0 && !options.TextOnly;
        return new MemoryEstimate
        {
            Version = options.Version ?? $"0.{constants.Minor}",
            Budget = (long)Math.Ceiling(device.Bytes * (options.Utilization ?? constants.Utilization)),
            Weights = Band.Around(weights, 0.005, 0.005),
            Activations = Band.Around(activations, multimodal ? 0.12 : 0.06, multimodal ? 0.5 : 0.06),
            Graphs = Band.Around(graphs, 0.5, 1),
            GraphsInside = constants.GraphsInside,
            Overhead = Band.Within(other, (long)((parallel ? 0.7 : 0.3) * Gibibyte)),
            Layout = VllmKvLayout.Of(model, options, tokens, constants),
            Context = context,
            MaxSequences = sequences,
            MaxBatchedTokens = tokens,
        };
    }

    /// <summary>Defaults of the API server by the device's size; without chunked prefill a step must hold the longest prompt.</summary>
    private static (int Tokens, int Sequences) Batch(ModelSpec model, Device device, ServingOptions options, long context, bool old, VllmConstants constants)
    {
        if (old)
        {
            var whole = context <= LongPromptTokens ? (int)Math.Max(context, 2048) : 2048;
            var most = options.MaxSequences ?? 256;
            return (options.MaxBatchedTokens ?? whole, Math.Min(most, options.MaxBatchedTokens ?? whole));
        }
        var large = device.Gibibytes >= 70 && !device.Name.Contains("A100", StringComparison.OrdinalIgnoreCase);
        var tokens = options.MaxBatchedTokens ?? (device.Gibibytes >= 160 ? 16384 : large ? 8192 : 2048);
        var sequences = options.MaxSequences ?? (large ? 1024 : constants.SmallCardsWide);
        return (tokens, Math.Min(sequences, tokens));
    }

    /// <summary>What loading adds to the checkpoint's tensors: rotary tables, absorbed latent projections, padding of MXFP4 experts.</summary>
    private static long LoadExtras(ModelSpec model, ServingOptions options)
    {
        long extra = 0;
        int t = options.Parallelism.Tensor, stages = options.Parallelism.Pipeline;
        if (model.Layers.Select(layer => layer.Mixer).OfType<AttentionSpec>().FirstOrDefault()?.Rope is { } rope)
            extra += (long)model.ContextLength * rope.Dimensions * 2;
        foreach (var layer in model.Layers)
        {
            if (layer.Mixer is LatentAttentionSpec latent) extra += (long)latent.Heads / t * latent.KeyValueRank * (latent.NopeHeadSize + latent.ValueHeadSize) * 2 / stages;
            if (layer.FeedForward is ExpertFeedForwardSpec experts && options.Quantization.Format == WeightFormat.Mxfp4)
                extra += Mxfp4Padding(experts, model.HiddenSize, t) / stages;
        }
        return extra;
    }

    /// <summary>Kernels for MXFP4 take widths in multiples of 128: gpt-oss' experts of 2880 become 3072 wide on each side that is packed.</summary>
    private static long Mxfp4Padding(ExpertFeedForwardSpec experts, int hidden, int tensor)
    {
        long width = experts.ExpertIntermediateSize / tensor, padded = (width + 255) / 256 * 256;
        long Bytes(long inner) => WeightFormat.Mxfp4.Bytes(hidden, 2 * inner) + WeightFormat.Mxfp4.Bytes(inner, hidden);
        return experts.Experts * (Bytes(padded) - Bytes(width));
    }

    /// <summary>Peak of the profiling run (memory model §4.1): the sampler over all sequences, or a forward pass over all tokens.</summary>
    private static long Activations(ModelSpec model, ServingOptions options, VllmConstants constants, int tokens, int sequences, bool old)
    {
        int t = options.Parallelism.Tensor;
        double h = model.HiddenSize, vocabulary = (model.VocabularySize + 63) / 64 * 64;
        var basis = (BaseBytesPerToken * (double)tokens) + (2 * tokens * h);
        var sampler = basis + (constants.SamplerBytes * sequences * vocabulary);
        double forward = basis, workspace = 0;
        foreach (var feedForward in model.Layers.Select(layer => layer.FeedForward).Distinct())
        {
            if (feedForward is DenseFeedForwardSpec dense) forward = Math.Max(forward, basis + (2.0 * tokens * 3 * dense.IntermediateSize / t) + (old ? 4.0 * tokens * h : 0));
            if (feedForward is not ExpertFeedForwardSpec experts || options.Quantization.Format == WeightFormat.Mxfp4) continue;
            double inner = (double)experts.ExpertIntermediateSize / (options.Parallelism.Experts ? 1 : t);
            // Under expert parallelism a rank computes its own experts' share of the tokens.
            var share = options.Parallelism.Experts ? 1.0 / (t * options.Parallelism.Data) : 1;
            workspace = Math.Max(workspace, 2.0 * tokens * experts.ExpertsPerToken * share * (Math.Max(2 * inner, h) + Math.Max(inner, h)));
        }
        var text = constants.WorkspaceStays ? Math.Max(sampler, forward) + workspace : Math.Max(sampler, forward + workspace);
        // A vision tower is profiled too; what that takes depends on the pictures allowed, which no header says.
        return (long)(text + (model.EncoderParameters > 0 && !options.TextOnly ? 0.25 * Gibibyte : 0));
    }

    /// <inheritdoc/>
    public override string LaunchCommand(string model, MemoryEstimate estimate, ServingOptions options)
    {
        var p = options.Parallelism;
        var command = new List<string> { "vllm serve", model };
        if (p.Tensor > 1) command.Add($"--tensor-parallel-size {p.Tensor}");
        if (p.Pipeline > 1) command.Add($"--pipeline-parallel-size {p.Pipeline}");
        if (p.Data > 1) command.Add($"--data-parallel-size {p.Data}");
        if (p.Experts) command.Add("--enable-expert-parallel");
        command.Add($"--max-model-len {estimate.Context}");
        command.Add($"--max-num-seqs {estimate.MaxSequences}");
        command.Add($"--max-num-batched-tokens {estimate.MaxBatchedTokens}");
        if (options.KvType.Name == "fp8") command.Add("--kv-cache-dtype fp8");
        if (options.Quantization.LoadFlag is { } flag) command.Add($"--quantization {flag}");
        if (options.Eager) command.Add("--enforce-eager");
        if (options.TextOnly) command.Add("""--limit-mm-per-prompt '{"image":0,"video":0}'""");
        if (options.OffloadBytes > 0) command.Add($"--cpu-offload-gb {Math.Ceiling(options.OffloadBytes / Gibibyte)}");
        // An exact size holds whatever else runs on the card; the share stays as a guard for versions without it.
        if (estimate.PoolLow > 0) command.Add($"--kv-cache-memory-bytes {estimate.PoolLow}");
        return string.Join(' ', command);
    }
}
