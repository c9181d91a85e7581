using System.Collections.Immutable;
using Kvasir.Checkpoints;
using Kvasir.Planning.Engines;
using Kvasir.Planning.KvCache;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Fit;

/// <summary>Speeds that memory, arithmetic and links allow (memory model §8): at best, not measured.</summary>
/// <param name="DecodeTokensPerSecond">One request alone at half the context.</param>
/// <param name="BatchTokensPerSecond">All asked requests together, at half the context each.</param>
/// <param name="PrefillTokensPerSecond">Reading a prompt of one chunk.</param>
/// <param name="FirstTokenSeconds">Reading a prompt of the full context, alone.</param>
/// <param name="Assumptions">What the numbers rest on.</param>
public sealed record Roofline(double DecodeTokensPerSecond, double BatchTokensPerSecond, double PrefillTokensPerSecond, double FirstTokenSeconds, ImmutableArray<string> Assumptions)
{
    private const double BandwidthShare = 0.8, ComputeShare = 0.6, LayerSeconds = 12e-6, LinkLatencySeconds = 10e-6;
    private const double PcieBytesPerSecond = 32e9;

    /// <summary>The bounds, or null where the GPU's bandwidth or arithmetic is not known.</summary>
    public static Roofline? Of(PlanRequest request, MemoryEstimate estimate)
    {
        var gpu = request.Gpu;
        if (gpu.Bandwidth is not { } bandwidth || !gpu.OperationsPerSecond.TryGetValue("bf16", out var operations)) return null;
        var p = request.Options.Parallelism;
        // 8-bit weights multiply in 8 bits where the card can; all others are widened to 16.
        var eight = request.Options.Quantization.Format is WeightFormat.Fp8Block or WeightFormat.Fp8Channel or WeightFormat.Fp8Tensor && gpu.OperationsPerSecond.TryGetValue("fp8", out var fp8) ? fp8 : operations;
        var work = new Work(request.Model, request.Options, p, bandwidth * BandwidthShare, eight * ComputeShare, (gpu.LinkBandwidth / 2) ?? gpu.PcieBandwidth ?? PcieBytesPerSecond);
        var middle = Math.Max(1, estimate.Context / 2);
        var one = work.DecodeSeconds(1, middle);
        var batch = work.DecodeSeconds(request.Concurrency, middle);
        var chunk = Math.Min(estimate.MaxBatchedTokens, estimate.Context);
        var first = 0.0;
        for (long done = 0; done < estimate.Context; done += chunk) first += work.PrefillSeconds(Math.Min(chunk, estimate.Context - done), done);
        return new Roofline(1 / one, request.Concurrency / batch, chunk / work.PrefillSeconds(chunk, 0), first,
        [
            $"{BandwidthShare * 100:0} % of the memory bandwidth, {ComputeShare * 100:0} % of the dense arithmetic",
            $"{LayerSeconds * 1e6:0} µs per layer for launches" + (p.Tensor > 1 ? $", two all-reduces per layer of at least {LinkLatencySeconds * 1e6:0} µs" : ""),
            "half the context filled while decoding; no queue, no speculation",
        ]);
    }

    private sealed record Work(ModelSpec Model, ServingOptions Options, Parallelism Split, double Bandwidth, double Operations, double LinkBandwidth)
    {
        private readonly WeightTraffic _traffic = WeightTraffic.Of(Model, Options.Quantization);

        public double DecodeSeconds(int batch, long context)
        {
            var gpus = Split.Tensor;
            var weights = _traffic.Bytes(batch);
            var cache = KvShape.Layers(Model, Options.KvType, gpus).Sum(layer => layer.BytesPerSequence + (layer.BytesPerToken * Math.Min(context, layer.Window ?? context)));
            var read = ((weights / gpus) + ((double)batch * cache)) / Bandwidth;
            var compute = 2 * _traffic.ActiveParameters * batch / gpus / Operations;
            return Math.Max(read, compute) + (Model.Layers.Length * LayerSeconds) + Links(batch);
        }

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
}
