using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Kvasir.Checkpoints;

namespace Kvasir.Planning.Weights;

/// <summary>Bytes of a model's weights on one GPU: on the fullest stage of the pipeline, and on each.</summary>
/// <param name="Total">Bytes of the checkpoint's tensors in all.</param>
/// <param name="PerStage">Bytes on one rank of each pipeline stage.</param>
public sealed record ShardedWeights(long Total, IReadOnlyList<long> PerStage)
{
    /// <summary>
    /// Share of vision and audio towers that every rank holds whole (patch embedding, positions, projector). Fitted on
    /// vLLM's logged weights of Gemma 3 27B and Qwen2.5-VL 7B and 72B at tensor parallelism 4.
    /// </summary>
    public const double RepeatedEncoderShare = 0.2;

    /// <summary>The fullest stage.</summary>
    public long Largest => PerStage.Max();

    /// <summary>Adds up the parts of a model in a quantization.</summary>
    public static ShardedWeights Of(ModelSpec model, Quantization quantization, Parallelism parallelism, bool predictionLayers = false) =>
        Known.GetOrCreateValue(model).GetOrAdd((quantization, parallelism, predictionLayers), key => Sum(model, key.Item1, key.Item2, key.Item3));

    private static readonly ConditionalWeakTable<ModelSpec, ConcurrentDictionary<(Quantization, Parallelism, bool), ShardedWeights>> Known = [];

    private static ShardedWeights Sum(ModelSpec model, Quantization quantization, Parallelism parallelism, bool predictionLayers)
    {
        IReadOnlyList<WeightPart> parts = WeightInventory.Of(model);
        if (predictionLayers) parts = [.. parts, .. WeightInventory.OfPrediction(model)];
        if (quantization.Gguf is not null && RopeFactors(model) is > 0 and var factors)
            parts = [.. parts, new(WeightInventory.Before, "rope_freqs", WeightRole.Small, Sharding.Replicated, factors, 1, Matrix: false)];
        var stages = parallelism.Stages(model.Layers.Length);
        var sums = new long[stages.Count];
        long total = 0;
        foreach (var part in parts)
        {
            total += Bytes(part, quantization, model.Layers.Length);
            var share = ShareBytes(part, quantization, parallelism, model);
            sums[StageOf(part.Layer, stages)] += share;
            // A tied model's last stage needs the table for its output.
            if (part.Role == WeightRole.Embedding && part.Layer == WeightInventory.Before && model.TiedEmbeddings && stages.Count > 1) sums[^1] += share;
        }
        return new ShardedWeights(total, sums);
    }

    /// <summary>Bytes of all copies of a part.</summary>
    public static long Bytes(WeightPart part, Quantization quantization, int layers)
    {
        if (quantization.Gguf is { } recipe)
        {
            var type = recipe.TypeOf(part, layers);
            // Types in blocks of 256 fall back when a row does not divide.
            if (part.Matrix && part.Inputs % type.Length != 0) type = GgufType.Find(part.Inputs % 32 == 0 ? type.BlockBytes * 8.0 / type.Length > 5 ? "Q8_0" : "Q5_0" : "F16")!;
            return type.Bytes(part.Inputs) * part.Outputs * part.Count;
        }
        // Quantized checkpoints keep the router's correction in F32.
        if (part.Name == "exp_probs_b" && quantization.Format != WeightFormat.Bf16) return 4 * part.Parameters;
        return quantization.Reaches(part)
            ? quantization.Format.Bytes(part.Inputs, part.Outputs) * part.Count
            : quantization.PlainBytes * part.Parameters;
    }

    private static long ShareBytes(WeightPart part, Quantization quantization, Parallelism parallelism, ModelSpec model)
    {
        int t = parallelism.Tensor, ranks = parallelism.Tensor * parallelism.Data;
        var whole = Bytes(part, quantization, model.Layers.Length);
        return part.Sharding switch
        {
            Sharding.Replicated => whole,
            Sharding.Encoder => (long)(whole * (RepeatedEncoderShare + ((1 - RepeatedEncoderShare) / t))),
            Sharding.Experts => whole / (parallelism.Experts ? ranks : t),
            Sharding.Vocabulary when t > 1 => whole / part.Outputs * (WeightFormats.Ceiling(part.Outputs, 64) * 64 / t),
            Sharding.KeyValueHeads => whole / Math.Min(t, KeyValueHeads(model, part.Layer)),
            _ => whole / t,
        };
    }

    /// <summary>Rotary factors that GGUF stores as a tensor: those of Llama 3, which stretch frequencies unevenly and leave the magnitude.</summary>
    private static int RopeFactors(ModelSpec model)
    {
        if (model.Layers.Select(layer => layer.Mixer).OfType<AttentionSpec>().FirstOrDefault()?.Rope is not { Magnitude: 1, Frequencies.Length: > 1 } rope) return 0;
        float Factor(int pair) => rope.Frequencies[pair] * MathF.Pow(rope.Theta, 2f * pair / rope.Dimensions);
        return Math.Abs(Factor(0) - Factor(rope.Frequencies.Length - 1)) > 0.01f ? rope.Frequencies.Length : 0;
    }

    private static int KeyValueHeads(ModelSpec model, int layer) =>
        (layer >= 0 && layer < model.Layers.Length ? model.Layers[layer].Mixer : null) switch
        {
            AttentionSpec attention => Math.Max(1, attention.KeyValueHeads),
            CrossAttentionSpec cross => Math.Max(1, cross.KeyValueHeads),
            _ => int.MaxValue,
        };

    private static int StageOf(int layer, IReadOnlyList<(int First, int End)> stages)
    {
        if (layer == WeightInventory.Before) return 0;
        for (var stage = 0; stage < stages.Count; stage++)
            if (layer >= stages[stage].First && layer < stages[stage].End) return stage;
        return stages.Count - 1;
    }
}
