using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Engines;

/// <summary>vLLM: a share of the whole device, less what a profiling run at full batch took, is cache (memory model §3.1, §4.1, §5).</summary>
public sealed class VllmRules : EngineRules
{
    private const double Gibibyte = 1L << 30;
    // cuBLAS and the runtime's own, growing with the batch that is profiled: fitted on H100 logs of 0.11 and 0.19 and A100, L40S ones.
    private const long BaseBytesPerToken = 12_800, BaseBytes = 105L << 20, OldBaseBytes = 30L << 20;
    private const int LongPromptTokens = 32_768;

    /// <inheritdoc/>
    public override string Name => "vllm";

    /// <inheritdoc/>
    public override IReadOnlyList<string> KvTypes { get; } = ["bf16", "fp8", "fp8_per_token_head", "int8_per_token_head", "int4_per_token_head", "nvfp4", "fp8_ds_mla"];

    /// <inheritdoc/>
    public override MemoryEstimate Estimate(ModelSpec model, Device device, ServingOptions options)
    {
        var minor = MinorOf(options);
        var constants = VllmConstants.For(minor);
        var context = options.Context ?? model.ContextLength;
        var old = minor < VllmConstants.FirstChunked || (options.Version?.Contains("V0", StringComparison.Ordinal) ?? false);
        var (tokens, sequences) = Batch(model, device, options, context, old, constants);
        var (extra, spread) = LoadExtras(model, options);
        var whole = WeightBytes(model, options) + extra;
        // Offloading reaches the layers; embedding and output stay.
        var weights = options.OffloadBytes == 0 ? whole : Math.Max(whole - options.OffloadBytes, Ends(model, options));
        var activations = Activations(model, options, constants, tokens, sequences, old);
        var graphs = options.Eager ? 0 : (long)((0.3 * Gibibyte) + (0.01 * weights)) * (device.ComputeCapability is >= 10 and < 11 ? 2 : 1);
        var parallel = options.Parallelism.Gpus > 1;
        var tensor = options.Parallelism.Tensor > 1;
        var other = (long)(tensor ? !device.FastLink ? constants.OtherPcieMiB : options.Parallelism.Tensor > 2 ? constants.OtherManyMiB : constants.OtherLinkedMiB : constants.OtherMiB) << 20;
        // Where host and device share one memory, the engine's processes and what they load through come out of the same bytes.
        var shared = device.Unified ? VllmConstants.SharedMemory : default;
        var multimodal = model.EncoderParameters > 0 && !options.TextOnly;
        var budget = (long)Math.Ceiling(device.Bytes * (options.Utilization ?? constants.Utilization));
        return new MemoryEstimate
        {
            Version = options.Version ?? $"0.{constants.Minor}",
            Budget = budget,
            RequiredFree = old ? 0 : budget,
            Weights = Band.Within(weights, (weights / 200) + spread),
            Activations = Band.Around(activations, multimodal ? 0.12 : 0.06, multimodal ? 0.5 : 0.06),
            Graphs = Band.Around(graphs, 0.5, 1),
            GraphsInside = constants.GraphsInside,
            RefusesLongContext = true,
            Overhead = Band.Within(other, (long)((parallel ? 0.7 : 0.3) * Gibibyte)) + shared,
            Layout = VllmKvLayout.Of(model, options, tokens, constants, old && minor >= VllmConstants.FirstLatent),
            Context = context,
            MaxSequences = sequences,
            MaxBatchedTokens = tokens,
        };
    }

    /// <summary>The version's number; "V0" alone names the last ones of that engine.</summary>
    private static int? MinorOf(ServingOptions options) => Minor(options.Version) ?? (options.Version?.Contains("V0", StringComparison.Ordinal) == true ? VllmConstants.FirstChunked - 1 : null);

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
        var sequences = options.MaxSequences ?? (large ? 1024 : VllmConstants.SmallCardSequences);
        return (tokens, Math.Min(sequences, tokens));
    }

    /// <summary>What loading adds to the checkpoint's tensors: rotary tables, absorbed latent projections, padding of MXFP4 experts.</summary>
    private static (long Bytes, long Spread) LoadExtras(ModelSpec model, ServingOptions options)
    {
        long extra = 0, spread = 0;
        int t = options.Parallelism.Tensor, stages = options.Parallelism.Pipeline;
        extra += RotaryTable(model);
        foreach (var layer in model.Layers)
        {
            if (layer.Mixer is LatentAttentionSpec latent) extra += (long)latent.Heads / t * latent.KeyValueRank * (latent.NopeHeadSize + latent.ValueHeadSize) * 2 / stages;
            if (layer.FeedForward is ExpertFeedForwardSpec experts && options.Quantization.Format == WeightFormat.Mxfp4)
            {
                var (least, most) = Mxfp4Padding(experts, model.HiddenSize, t);
                extra += (least + most) / 2 / stages;
                spread += Math.Abs(most - least) / 2 / stages;
            }
        }
        return (extra, spread);
    }

    /// <summary>What kernels for MXFP4 pad: gpt-oss' 2880 × 2880 becomes 2880 × 3072 under some, 3072 × 2944 under others; which, the log alone says.</summary>
    private static (long Least, long Most) Mxfp4Padding(ExpertFeedForwardSpec experts, int hidden, int tensor)
    {
        long width = experts.ExpertIntermediateSize / tensor;
        static long Bytes(long inner, long outer) => WeightFormat.Mxfp4.Bytes(outer, 2 * inner) + WeightFormat.Mxfp4.Bytes(inner, outer);
        return (experts.Experts * (Bytes(Multiple(width, 256), hidden) - Bytes(width, hidden)), experts.Experts * (Bytes(Multiple(width, 128), Multiple(hidden, 256)) - Bytes(width, hidden)));
        static long Multiple(long size, long of) => (size + of - 1) / of * of;
    }

    private static long Ends(ModelSpec model, ServingOptions options) => WeightInventory.Of(model)
        .Where(part => part.Role is WeightRole.Embedding or WeightRole.Output)
        .Sum(part => ShardedWeights.Bytes(part, options.Quantization, model.Layers.Length)) / options.Parallelism.Tensor + RotaryTable(model);

    /// <summary>Cosines and sines of every position in 16 bits, one table for the model.</summary>
    private static long RotaryTable(ModelSpec model) => model.ContextLength * 2L * model.Layers.Max(layer => layer.Mixer switch
    {
        AttentionSpec attention => attention.Rope?.Dimensions ?? attention.HeadSize,
        LatentAttentionSpec latent => latent.RopeHeadSize,
        _ => 0,
    });

    /// <summary>Peak of the profiling run (memory model §4.1): the sampler over all sequences, or a forward pass over all tokens.</summary>
    private static long Activations(ModelSpec model, ServingOptions options, VllmConstants constants, int tokens, int sequences, bool old)
    {
        int t = options.Parallelism.Tensor;
        double h = model.HiddenSize, vocabulary = (model.VocabularySize + 63) / 64 * 64;
        var basis = (old ? OldBaseBytes : Math.Min(BaseBytes, BaseBytesPerToken * (double)tokens)) + (2 * tokens * h);
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
        var text = constants.WorkspaceStays ? Math.Max(sampler, forward) + workspace : Math.Max(Math.Max(sampler, forward), basis + workspace);
        if (model.EncoderParameters == 0 || options.TextOnly) return (long)text;
        // A vision tower is profiled too: all pictures and videos of a request at first, one item since V1; text is profiled when it has gone.
        var item = VllmConstants.PatchBytes * model.EncoderPatches * model.EncoderWidth;
        return (long)(old ? Math.Max(text, item * ((options.MaxImages ?? 1) + (options.MaxVideos ?? 1))) : Math.Max(text, item) + (0.25 * Gibibyte));
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
        if (options.KvType.Name != "bf16") command.Add($"--kv-cache-dtype {options.KvType.Name}");
        if (options.Quantization.LoadFlag is { } flag) command.Add($"--quantization {flag}");
        if (options.Eager) command.Add("--enforce-eager");
        if (options.TextOnly) command.Add("""--limit-mm-per-prompt '{"image":0,"video":0}'""");
        if (options.OffloadBytes > 0) command.Add($"--cpu-offload-gb {Math.Ceiling(options.OffloadBytes / Gibibyte)}");
        // An exact size holds whatever else runs on the card; the share decides all the same how much must be free at start.
        var exact = estimate.ExactPool > 0 && !(MinorOf(options) < VllmConstants.FirstExactPool);
        if (exact) command.Add($"--kv-cache-memory-bytes {estimate.ExactPool}");
        if (!exact || options.Utilization is not null) command.Add(string.Create(CultureInfo.InvariantCulture, $"--gpu-memory-utilization {options.Utilization ?? VllmConstants.For(MinorOf(options)).Utilization:0.###}"));
        return string.Join(' ', command);
    }
}
