using System.Collections.Immutable;
using Kvasir.Checkpoints;
using Kvasir.Planning.KvCache;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Engines;

/// <summary>A matrix as a checkpoint stores it.</summary>
/// <param name="Type">ggml's name of the type: "Q4_K", "BF16".</param>
/// <param name="Rows">Outputs.</param>
/// <param name="Columns">Inputs.</param>
public readonly record struct StoredMatrix(string Type, long Rows, long Columns)
{
    /// <summary>Every matrix that an engine multiplies with, once; a tied output is the embedding.</summary>
    public static ImmutableArray<StoredMatrix> Of(ModelTensors tensors) => [.. tensors.Layers
        .SelectMany(layer => (TensorView?[])[layer.Query, layer.Key, layer.Value, layer.AttentionOutput, layer.Gate, layer.Up, layer.Down]).OfType<TensorView>()
        .Prepend(tensors.TokenEmbedding).Append(tensors.Output).Distinct()
        .Select(view => new StoredMatrix(view.Type.ToString(), view.Rows, view.Columns))];

    /// <summary>The same from shapes and a quantization; empty where the engine has no kernel for its types.</summary>
    public static ImmutableArray<StoredMatrix> Of(ModelSpec model, Quantization quantization)
    {
        var matrices = WeightInventory.Of(model).Where(part => part.Matrix).SelectMany(part => Enumerable.Repeat(
            new StoredMatrix(quantization.Gguf?.TypeOf(part, model.Layers.Length).Name ?? (quantization.PlainBytes == 4 ? "F32" : "BF16"), part.Outputs, part.Inputs), (int)part.Count));
        return [.. matrices];
    }
}

/// <summary>Kvasir's own engine on the CPU: every long-lived byte is a line of its ledger, known before it starts.</summary>
public sealed class KvasirRules : EngineRules
{
    /// <inheritdoc/>
    public override string Name => "kvasir";

    /// <inheritdoc/>
    public override IReadOnlyList<string> KvTypes { get; } = ["bf16", "f32", "q8_0", "q4_0", "fp8"];

    /// <inheritdoc/>
    public override bool KeepsValuesApart => true;

    /// <inheritdoc/>
    public override MemoryEstimate Estimate(ModelSpec model, Device device, ServingOptions options)
    {
        var sequences = options.MaxSequences ?? KvasirConstants.MaxSequences;
        var chunk = options.MaxBatchedTokens ?? KvasirConstants.ChunkTokens;
        var context = options.Context ?? model.ContextLength;
        if (Obstacle(model) is { } obstacle) throw new Fit.PlanException(obstacle);
        var weights = (options.Matrices ?? StoredMatrix.Of(model, options.Quantization)).Sum(matrix => KvasirConstants.PackedBytes(matrix.Type, matrix.Rows, matrix.Columns));
        var activations = ActivationBytes(model, chunk + sequences);
        var layout = KvasirKvLayout.Of([.. model.Layers.Select(layer => (AttentionSpec)layer.Mixer)], attention => BlockBytes(attention, options.KvType, options.ValueKvType ?? options.KvType), chunk);
        var sampler = 12L * model.VocabularySize;
        var budget = (long)(device.Bytes * (options.Utilization ?? 0.9)) - KvasirConstants.RuntimeBytes;
        var wanted = sequences * layout.Blocks(context);
        var (rest, each) = (weights + activations + sampler, layout.BlockBytes + KvasirConstants.IndexBytesPerBlock);
        // More cache than all sequences can use is not taken.
        var blocks = Math.Clamp((budget - rest) / each, 0, wanted);
        return new MemoryEstimate
        {
            Version = "this build",
            Budget = blocks > 0 ? rest + (blocks * each) : budget,
            Weights = Band.Exactly(weights),
            Activations = Band.Exactly(activations),
            Graphs = Band.Exactly(0),
            GraphsInside = true,
            Overhead = Band.Exactly(sampler + (blocks * KvasirConstants.IndexBytesPerBlock)),
            Layout = layout,
            Context = context,
            MaxSequences = sequences,
            MaxBatchedTokens = chunk,
        };
    }

    /// <inheritdoc/>
    public override string LaunchCommand(string model, MemoryEstimate estimate, ServingOptions options) =>
        $"kvasir serve {model} --context {estimate.Context} --memory {(estimate.Budget + KvasirConstants.RuntimeBytes + (1L << 20) - 1) >> 20}MiB{KvFlag(options)}";

    // Sixteen bits are the default: both floats take the same room.
    private static string KvFlag(ServingOptions options) =>
        options.ValueKvType is { } values && values != options.KvType ? $" --kv-dtype k={FlagName(options.KvType)},v={FlagName(values)}"
        : options.KvType.Name == "bf16" ? "" : $" --kv-dtype {options.KvType.Name}";

    private static string FlagName(KvType type) => type.Name == "bf16" ? "f16" : type.Name;

    /// <summary>Buffers of the largest step: the residual stream three times, projections, both halves of the network, logits, and every form of the widest activation.</summary>
    private static long ActivationBytes(ModelSpec model, int tokens)
    {
        var attention = model.Layers.Select(layer => (AttentionSpec)layer.Mixer).ToList();
        int query = attention.Max(a => a.Heads * a.HeadSize), attended = attention.Max(a => a.Heads * a.ValueHeadSize);
        var inner = model.Layers.Max(layer => ((DenseFeedForwardSpec)layer.FeedForward!).IntermediateSize);
        var floats = (3 * Floats(tokens, model.HiddenSize)) + Floats(tokens, query) + Floats(tokens, attention.Max(a => a.KeyValueHeads * a.HeadSize))
            + Floats(tokens, attention.Max(a => a.KeyValueHeads * a.ValueHeadSize)) + Floats(tokens, attended) + (2 * Floats(tokens, inner))
            + Floats(KvasirConstants.LogitRows, model.VocabularySize);
        long widest = Math.Max(model.HiddenSize, Math.Max(attended, inner));
        var forms = KvasirConstants.OddLines(widest * 4) + KvasirConstants.OddLines((widest + 1) / 2 * 4) + KvasirConstants.OddLines((widest + 31) / 32 * KvasirConstants.RecordBytes);
        var rotary = attention.Select(a => a.Rope).OfType<RopeSpec>().DistinctBy(rope => (rope.Magnitude, rope.LongContextThreshold, string.Join(' ', rope.Frequencies)))
            .Sum(rope => 8L * tokens * rope.Frequencies.Length);
        return floats + (forms * tokens) + rotary;
    }

    private static long Floats(int rows, int columns) => KvasirConstants.Lines((long)rows * columns * 4);

    private static long BlockBytes(AttentionSpec attention, KvType keys, KvType values) =>
        attention.KeyValueHeads * (HeadBytes(keys, attention.HeadSize) + HeadBytes(values, KvasirConstants.Whole(attention.ValueHeadSize, 16)));

    /// <summary>Sixteen tokens of one head: scales, rounded up to cache lines, then codes of whole 32s; or floats.</summary>
    private static long HeadBytes(KvType type, long size) => type.BlockLength == 1
        ? size * KvasirConstants.BlockTokens * type.BlockBytes
        : KvasirConstants.Lines(KvasirConstants.Whole(size, 32)) + (KvasirConstants.Whole(size, 32) / 32 * KvasirConstants.BlockTokens * (type.BlockBytes - 2));

    private static string? Obstacle(ModelSpec model) =>
        model.Layers.Any(layer => layer.Mixer is not AttentionSpec { ChunkSize: null, SharesKeyValuesOfLayer: null, Sinks: false } || layer.FeedForward is not DenseFeedForwardSpec { Gated: true } || layer.Parallel)
            ? $"Kvasir's own engine runs dense models of the Llama, Mistral, Qwen, Phi-3 and Gemma families, not \"{model.Architecture}\"; plan another --engine." : null;
}
