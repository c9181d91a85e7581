using System.Collections.Immutable;
using Kvasir.Checkpoints;
using Kvasir.Planning.KvCache;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Engines;

/// <summary>llama.cpp's sizes, of builds since 2024 (memory model §3.4, §4.3; read in its sources).</summary>
internal static class LlamaCppConstants
{
    public const int MarginMiB = 1024;
    public const int ContextPadding = 256;
    public const int UBatch = 512;
    /// <summary>Recurrent states are kept in F32.</summary>
    public const int StateElementBytes = 4;
    /// <summary>Width-sized buffers beside scores and mask where there is no flash attention.</summary>
    public const int PlainAttentionRows = 4;
}

/// <summary>llama.cpp: everything is allocated at start for the context that is asked for (memory model §3.4, §4.3).</summary>
public sealed class LlamaCppRules : EngineRules
{
    /// <inheritdoc/>
    public override string Name => "llama.cpp";

    /// <inheritdoc/>
    public override IReadOnlyList<string> KvTypes { get; } = ["bf16", "f32", "fp8", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"];

    /// <inheritdoc/>
    public override MemoryEstimate Estimate(ModelSpec model, Device device, ServingOptions options)
    {
        // Layers are divided among devices, each whole: what others call pipeline stages.
        var spread = options with { Parallelism = new Parallelism(1, options.Parallelism.Gpus) };
        var sequences = options.MaxSequences ?? 1;
        int ubatch = options.MaxBatchedTokens ?? LlamaCppConstants.UBatch;
        var context = options.Context ?? model.ContextLength;
        var layout = LlamaCppKvLayout.Of(model, spread, ubatch, sequences);
        var weights = Math.Max(0, OnDevice(model, spread) - options.OffloadBytes);
        return new MemoryEstimate
        {
            Version = options.Version ?? "2026-04",
            Budget = device.Bytes - device.ContextBytes - device.UsedBytes - ((long)LlamaCppConstants.MarginMiB << 20),
            Weights = Band.Around(weights, 0, 0.005),
            Activations = Band.Around(ComputeBytes(model, options, ubatch, context * sequences), 0.2, 0.5),
            Graphs = Band.Exactly(0),
            GraphsInside = true,
            RefusesLongContext = true,
            Overhead = Band.Exactly(0),
            Layout = layout,
            FixedPool = layout.RequestBytes(context * sequences),
            Context = context,
            MaxSequences = sequences,
            MaxBatchedTokens = ubatch,
        };
    }

    /// <summary>The compute buffer: logits of a whole micro-batch, or attention scores where flash attention is off.</summary>
    public static long ComputeBytes(ModelSpec model, ServingOptions options, int ubatch, long cells)
    {
        long h = model.HiddenSize;
        var output = model.EncoderOnly ? 4L * ubatch * h : (model.VocabularySize + h) * ubatch * 4;
        foreach (var experts in model.Layers.Select(layer => layer.FeedForward).OfType<ExpertFeedForwardSpec>().Take(1))
            output += (long)experts.ExpertsPerToken * ((3L * experts.ExpertIntermediateSize) + h) * ubatch * 4;
        if (options.FlashAttention) return output;
        var heads = model.Layers.Select(layer => layer.Mixer switch { AttentionSpec a => a.Heads, LatentAttentionSpec l => l.Heads, _ => 0 }).Max();
        return Math.Max(output, ((heads + 1L) * cells * ubatch * 4) + (LlamaCppConstants.PlainAttentionRows * h * ubatch * 4));
    }

    /// <summary>Weights on a device: the token embedding stays in host memory, unless it is the output too.</summary>
    private static long OnDevice(ModelSpec model, ServingOptions options)
    {
        var whole = WeightBytes(model, options);
        var embedding = WeightInventory.Of(model)[0];
        return (model.TiedEmbeddings && !model.EncoderOnly) || options.Parallelism.Pipeline > 1 ? whole : whole - ShardedWeights.Bytes(embedding, options.Quantization, model.Layers.Length);
    }

    /// <inheritdoc/>
    public override string LaunchCommand(string model, MemoryEstimate estimate, ServingOptions options)
    {
        // Layers that stay in host memory are whole ones; the output counts as one more.
        var layers = ((LlamaCppKvLayout)estimate.Layout).ModelLayers + 1;
        var resident = options.OffloadBytes == 0 ? layers : (int)(layers * (double)estimate.Weights.Likely / (estimate.Weights.Likely + options.OffloadBytes));
        var command = new List<string> { "llama-server -m", model, $"-ngl {(resident == layers ? 999 : resident)}", $"-c {estimate.Context * estimate.MaxSequences}", $"-np {estimate.MaxSequences}", $"-ub {estimate.MaxBatchedTokens}" };
        if (options.Parallelism.Gpus > 1) command.Add("-sm layer");
        if (options.KvType.Name is "fp8" or "q8_0") command.Add("-fa on -ctk q8_0 -ctv q8_0");
        else if (options.KvType.Name is not "bf16") command.Add($"-fa on -ctk {options.KvType.Name} -ctv {options.KvType.Name}");
        else command.Add($"-fa {(options.FlashAttention ? "on" : "off")}");
        if (options.FullWindows) command.Add("--swa-full");
        return string.Join(' ', command);
    }
}

/// <summary>llama.cpp's cache: cells for the whole context in full layers, for window and micro-batch in sliding ones.</summary>
public sealed record LlamaCppKvLayout : KvLayout
{
    /// <summary>Bytes per cell and window of each layer on the fullest device.</summary>
    public required ImmutableArray<LayerCache> Layers { get; init; }
    /// <summary>Layers of the model on all devices.</summary>
    public required int ModelLayers { get; init; }
    /// <summary>Tokens computed at once.</summary>
    public required int UBatch { get; init; }
    /// <summary>Requests that share the cache, each with a window of its own.</summary>
    public required int Sequences { get; init; }

    /// <inheritdoc/>
    public override long RequestBytes(long tokens)
    {
        var cells = Pad(tokens);
        return Layers.Sum(layer => (layer.BytesPerToken * (layer.Window is { } window ? Pad(Math.Min(cells, ((long)window * Sequences) + UBatch)) : cells)) + (layer.BytesPerSequence * Sequences));
    }

    /// <inheritdoc/>
    public override long CapacityTokens(long poolBytes, long context) => MaxContext(poolBytes, int.MaxValue) / LlamaCppConstants.ContextPadding * LlamaCppConstants.ContextPadding;

    internal static LlamaCppKvLayout Of(ModelSpec model, ServingOptions options, int ubatch, int sequences)
    {
        // Eight-bit floats are no cache type here; q8_0 stands in.
        var type = options.KvType.Name == "fp8" ? KvType.Parse("q8_0")! : options.KvType;
        var kept = options.ExpandedLatent || IsExpanded(options.Version) ? model with { Layers = [.. model.Layers.Select(Expanded)] } : model;
        var layers = KvShape.Layers(kept, type, 1, LlamaCppConstants.StateElementBytes);
        if (options.FullWindows) layers = [.. layers.Select(layer => layer with { Window = null })];
        var stage = options.Parallelism.Stages(layers.Count).Select(s => layers.Skip(s.First).Take(s.End - s.First).ToList()).MaxBy(s => s.Sum(layer => layer.BytesPerToken))!;
        return new LlamaCppKvLayout { BytesPerToken = stage.Sum(layer => layer.BytesPerToken), Layers = [.. stage], ModelLayers = layers.Count, UBatch = ubatch, Sequences = sequences };
    }

    /// <summary>Builds before May 2025 (version given as a month) kept the keys and values of every head of latent attention.</summary>
    private static bool IsExpanded(string? version) => version is { Length: >= 7 } && char.IsAsciiDigit(version[0]) && string.CompareOrdinal(version, "2025-05") < 0;

    private static LayerSpec Expanded(LayerSpec layer) => layer.Mixer is not LatentAttentionSpec l ? layer : layer with
    {
        Mixer = new AttentionSpec { Heads = l.Heads, KeyValueHeads = l.Heads, HeadSize = l.NopeHeadSize + l.RopeHeadSize, ValueHeadSize = l.ValueHeadSize, Scale = 1 },
    };

    private static long Pad(long tokens) => (tokens + LlamaCppConstants.ContextPadding - 1) / LlamaCppConstants.ContextPadding * LlamaCppConstants.ContextPadding;
}
