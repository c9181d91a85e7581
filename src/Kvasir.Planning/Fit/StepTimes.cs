using Kvasir.Checkpoints;
using Kvasir.Planning.Engines;
using Kvasir.Planning.KvCache;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Fit;

/// <summary>How long steps of an engine take at best: what memory, arithmetic and links allow (memory model §8).</summary>
public sealed record StepTimes
{
    internal const double BandwidthShare = 0.8, ComputeShare = 0.6, LayerSeconds = 12e-6, LinkLatencySeconds = 10e-6;
    private const double PcieBytesPerSecond = 32e9;

    private readonly WeightTraffic _traffic;

    private StepTimes(ModelSpec model, ServingOptions options, double bandwidth, double operations, double linkBandwidth)
    {
        (Model, Options, Split, Bandwidth, Operations, LinkBandwidth) = (model, options, options.Parallelism, bandwidth, operations, linkBandwidth);
        _traffic = WeightTraffic.Of(model, options.Quantization);
    }

    private ModelSpec Model { get; }
    private ServingOptions Options { get; }
    private Parallelism Split { get; }
    private double Bandwidth { get; }
    private double Operations { get; }
    private double LinkBandwidth { get; }

    /// <summary>The times, or null where the GPU's bandwidth or arithmetic is not known.</summary>
    public static StepTimes? Of(PlanRequest request)
    {
        var gpu = request.Gpu;
        if (gpu.Bandwidth is not { } bandwidth || !gpu.OperationsPerSecond.TryGetValue("bf16", out var operations)) return null;
        // 8-bit weights multiply in 8 bits where the card can; all others are widened to 16.
        var eight = request.Options.Quantization.Format is WeightFormat.Fp8Block or WeightFormat.Fp8Channel or WeightFormat.Fp8Tensor && gpu.OperationsPerSecond.TryGetValue("fp8", out var fp8) ? fp8 : operations;
        return new StepTimes(request.Model, request.Options, bandwidth * BandwidthShare, eight * ComputeShare, (gpu.LinkBandwidth / 2) ?? gpu.PcieBandwidth ?? PcieBytesPerSecond);
    }

    /// <summary>Seconds of one decoding step.</summary>
    /// <param name="batch">Sequences in it.</param>
    /// <param name="context">Tokens in each one's context.</param>
    public double DecodeSeconds(int batch, long context)
    {
        var gpus = Split.Tensor;
        var weights = _traffic.Bytes(batch);
        var cache = KvShape.Layers(Model, Options.KvType, gpus).Sum(layer => layer.BytesPerSequence + (layer.BytesPerToken * Math.Min(context, layer.Window ?? context)));
        var read = ((weights / gpus) + ((double)batch * cache)) / Bandwidth;
        var compute = 2 * _traffic.ActiveParameters * batch / gpus / Operations;
        return Math.Max(read, compute) + (Model.Layers.Length * LayerSeconds) + Links(batch);
    }

    /// <summary>Seconds in which a chunk of a prompt is read.</summary>
    /// <param name="tokens">Tokens of the chunk.</param>
    /// <param name="before">Tokens of the prompt before it.</param>
    public double PrefillSeconds(long tokens, long before)
    {
        var attention = Model.Layers.Sum(layer => layer.Mixer switch
        {
            AttentionSpec a => 4.0 * a.Heads * a.HeadSize * tokens * Math.Min(before + (tokens / 2.0), a.SlidingWindow ?? double.MaxValue),
            LatentAttentionSpec l => 2.0 * l.Heads * (l.NopeHeadSize + l.RopeHeadSize + l.ValueHeadSize) * tokens * (before + (tokens / 2.0)),
            _ => 0,
        });
        return Math.Max(((2 * _traffic.ActiveParameters * tokens) + attention) / Split.Tensor / Operations, _traffic.AllBytes / Split.Tensor / Bandwidth) + (Model.Layers.Length * LayerSeconds) + Links(tokens);
    }

    private double Links(long tokens)
    {
        var message = tokens * Model.HiddenSize * 2.0;
        var reduce = Split.Tensor == 1 ? 0 : Model.Layers.Length * 2 * (LinkLatencySeconds + (2 * message * (Split.Tensor - 1) / Split.Tensor / LinkBandwidth));
        return reduce + ((Split.Pipeline - 1) * (LinkLatencySeconds + (message / LinkBandwidth)));
    }
}
