using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Planning.KvCache;

namespace Kvasir.Planning.Engines;

/// <summary>SGLang: weights and cache together take a static share of what is free before loading; the rest is left to activations and graphs (memory model §3.2, §4.2).</summary>
public sealed class SgLangRules : EngineRules
{
    private const double Mebibyte = 1 << 20;

    /// <inheritdoc/>
    public override string Name => "sglang";

    /// <inheritdoc/>
    public override IReadOnlyList<string> KvTypes { get; } = ["bf16", "fp8", "fp4_mx_block16"];

    /// <inheritdoc/>
    public override MemoryEstimate Estimate(ModelSpec model, Device device, ServingOptions options)
    {
        var constants = SgLangConstants.For(device.ToolBytes / 1073741824.0);
        int t = options.Parallelism.Tensor, chunk = options.MaxBatchedTokens ?? constants.ChunkedPrefill;
        var graphSequences = t >= 4 ? constants.GraphSequencesParallel : constants.GraphSequences;
        var share = options.Utilization ?? (Share(device, options, chunk, graphSequences) * TowerFactor(model, options));
        var free = Math.Max(0, device.Bytes - device.ContextBytes - device.UsedBytes);
        var weights = Math.Max(0, WeightBytes(model, options) + LoadExtras(model, options) - options.OffloadBytes);
        var context = options.Context ?? model.ContextLength;
        // What lies outside the static share: a chunk's activations and the graphs of decoding.
        var activations = (long)(1.5 * chunk * Mebibyte / 2);
        var graphs = options.Eager ? 0 : (long)(((2 * graphSequences) + 64) * Mebibyte);
        return new MemoryEstimate
        {
            Version = options.Version ?? "0.5",
            Budget = (long)(free * share),
            Weights = Band.Around(weights, 0.005, 0.01),
            Activations = Band.Around(activations, 0.5, 0.5),
            ActivationsInside = false,
            Graphs = Band.Around(graphs, 0.5, 1),
            GraphsInside = false,
            Overhead = Band.Within(0, (long)(300 * Mebibyte)),
            Layout = Layout(model, options, t),
            Context = context,
            MaxSequences = options.MaxSequences ?? 2048,
            MaxBatchedTokens = chunk,
        };
    }

    /// <summary>Its "mem usage" is a difference of free memory: libraries' workspaces, collectives' buffers and absorbed latent projections are in it.</summary>
    private static long LoadExtras(ModelSpec model, ServingOptions options)
    {
        var t = options.Parallelism.Tensor;
        var absorbed = model.Layers.Select(layer => layer.Mixer).OfType<LatentAttentionSpec>().Sum(latent => (long)latent.Heads / t * latent.KeyValueRank * (latent.NopeHeadSize + latent.ValueHeadSize) * 2);
        return ((long)(t > 1 ? SgLangConstants.LoadExtraParallelMiB : SgLangConstants.LoadExtraMiB) << 20) + (absorbed / Math.Max(1, options.Parallelism.Pipeline));
    }

    private static double Share(Device device, ServingOptions options, int chunk, int graphSequences)
    {
        if (IsOld(options.Version)) return SgLangConstants.ShareByTensor(options.Parallelism.Tensor);
        var mebibytes = device.ToolBytes / Mebibyte;
        var reserved = 512 + (1.5 * Math.Max(chunk, 2048)) + (options.Parallelism.Gpus / 8.0 * 1024) + (options.Eager ? 0 : (2 * graphSequences) + SgLangConstants.PrefillGraphMiB);
        if (mebibytes > 60 * 1024) reserved = Math.Max(reserved, SgLangConstants.LargeReserveMiB);
        return Math.Round((mebibytes - reserved) / mebibytes, 3);
    }

    /// <summary>Vision towers lower the share by their size.</summary>
    private static double TowerFactor(ModelSpec model, ServingOptions options)
    {
        if (model.EncoderParameters == 0 || options.TextOnly) return 1;
        var size = model.EncoderParameters / 12.0 / (24 * 1024 * 1024);
        return 0.95 * Math.Clamp(1 - (0.1 * (size - 1)), 0.8, 1.05);
    }

    private static bool IsOld(string? version) => version is not null
        && (Minor(version) is { } minor ? minor < SgLangConstants.FirstReserving
            : DateTimeOffset.TryParseExact(version[..Math.Min(7, version.Length)], "yyyy-MM", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var month) && month < new DateTimeOffset(2025, 8, 1, 0, 0, 0, TimeSpan.Zero));

    private static PagedKvLayout Layout(ModelSpec model, ServingOptions options, int tensor)
    {
        var layers = KvShape.Layers(model, options.KvType, tensor);
        var stages = Math.Max(1, options.Parallelism.Pipeline);
        var cell = layers.Sum(layer => layer.Window is null ? layer.BytesPerToken : (long)(SgLangConstants.WindowRatio * layer.BytesPerToken));
        var state = layers.Sum(layer => layer.BytesPerSequence);
        return new PagedKvLayout
        {
            BytesPerToken = (cell + KvShape.IndexerBytesPerToken(model)) / stages,
            BlockTokens = options.BlockSize ?? 1,
            RequestConstantBytes = state / stages,
            StateShare = state > 0 ? SgLangConstants.StateRatio / (1 + SgLangConstants.StateRatio) : 0,
        };
    }

    /// <inheritdoc/>
    public override string LaunchCommand(string model, MemoryEstimate estimate, ServingOptions options)
    {
        var p = options.Parallelism;
        var command = new List<string> { "python3 -m sglang.launch_server --model-path", model };
        if (p.Tensor > 1) command.Add($"--tp-size {p.Tensor}");
        if (p.Pipeline > 1) command.Add($"--pp-size {p.Pipeline}");
        if (p.Experts) command.Add($"--ep-size {p.Tensor}");
        if (p.Data > 1) command.Add($"--enable-dp-attention --dp-size {p.Data}");
        command.Add($"--context-length {estimate.Context}");
        if (options.MaxSequences is { } sequences) command.Add($"--max-running-requests {sequences}");
        command.Add($"--chunked-prefill-size {estimate.MaxBatchedTokens}");
        if (options.KvType.Name != "bf16") command.Add($"--kv-cache-dtype {(options.KvType.Name == "fp8" ? "fp8_e4m3" : "fp4_e2m1")}");
        if (options.Quantization.LoadFlag is { } flag) command.Add($"--quantization {flag}");
        if (options.Eager) command.Add("--disable-cuda-graph");
        if (options.OffloadBytes > 0) command.Add($"--cpu-offload-gb {Math.Ceiling(options.OffloadBytes / 1073741824.0)}");
        if (estimate.ExactPool > 0) command.Add($"--max-total-tokens {estimate.Layout.CapacityTokens(estimate.ExactPool, estimate.Context)}");
        return string.Join(' ', command);
    }
}
