using Kvasir.Checkpoints;

namespace Kvasir.Planning.KvCache;

/// <summary>
/// How keys and values are stored: bytes of one head's vector, whose scales may cost a fixed amount per vector
/// (memory model, §2).
/// </summary>
/// <param name="Name">The name that engines use.</param>
/// <param name="BlockLength">Elements per block.</param>
/// <param name="BlockBytes">Bytes per block.</param>
/// <param name="VectorBytes">Bytes per vector besides (a scale per token and head).</param>
public sealed record KvType(string Name, int BlockLength, int BlockBytes, int VectorBytes = 0)
{
    /// <summary>16-bit float.</summary>
    public static KvType Bf16 { get; } = new("bf16", 1, 2);
    /// <summary>8-bit float.</summary>
    public static KvType Fp8 { get; } = new("fp8", 1, 1);

    private static readonly KvType[] Known =
    [
        Bf16, Fp8, new("f32", 1, 4), new("q8_0", 32, 34), new("q5_1", 32, 24), new("q5_0", 32, 22), new("q4_1", 32, 20), new("q4_0", 32, 18), new("iq4_nl", 32, 18),
        new("int8_per_token_head", 1, 1, 4), new("fp8_per_token_head", 1, 1, 4), new("int4_per_token_head", 2, 1, 4), new("nvfp4", 16, 9), new("fp4_mx_block16", 16, 9),
        new("fp8_ds_mla", 1, 1),
    ];

    /// <summary>Names that can be given.</summary>
    public static IEnumerable<string> Names => Known.Select(type => type.Name);

    /// <summary>Reads an engine's name: "auto" and 16-bit floats are the same here; null for an unknown one.</summary>
    public static KvType? Parse(string name) => name.Trim().ToLowerInvariant() switch
    {
        "" or "auto" or "bf16" or "bfloat16" or "fp16" or "float16" or "f16" or "half" => Bf16,
        "fp8" or "fp8_e4m3" or "fp8_e5m2" or "fp8_inc" or "float8_e4m3fn" or "mxfp8" or "int8" => Fp8,
        "float32" or "fp32" => Known[2],
        var text => Known.FirstOrDefault(type => type.Name == text),
    };

    /// <summary>Bytes of one vector of so many elements.</summary>
    public long Bytes(long elements) => elements == 0 ? 0 : ((elements + BlockLength - 1) / BlockLength * BlockBytes) + VectorBytes;

    /// <summary>Bytes per element, scales aside.</summary>
    public double BytesPerElement => (double)BlockBytes / BlockLength;
}

/// <summary>What one layer keeps of a sequence.</summary>
/// <param name="BytesPerToken">Bytes per token kept, on one rank.</param>
/// <param name="BytesPerSequence">Bytes per sequence whatever its length, on one rank.</param>
/// <param name="Window">Most tokens kept, or null for all.</param>
/// <param name="Chunked">Whether the window is a chunk of fixed borders.</param>
public readonly record struct LayerCache(long BytesPerToken, long BytesPerSequence, int? Window = null, bool Chunked = false);

/// <summary>Ideal bytes of keys, values and states, before any engine rounds them (memory model, §2).</summary>
public static class KvShape
{
    /// <summary>Tokens of an encoder that cross-attention keeps: four image tiles of 1601 patches (Llama 3.2 Vision).</summary>
    private const int EncoderTokens = 6404;

    /// <summary>What each layer keeps on one of <paramref name="tensor"/> ranks.</summary>
    public static IReadOnlyList<LayerCache> Layers(ModelSpec model, KvType type, int tensor = 1, int? stateElementBytes = null)
    {
        var caches = new LayerCache[model.Layers.Length];
        for (var index = 0; index < caches.Length; index++) caches[index] = Of(model.Layers[index].Mixer, type, model.HiddenSize, tensor, stateElementBytes);
        return caches;
    }

    /// <summary>Bytes that each further token costs while no window is full: the figure that engines and papers quote.</summary>
    public static long BytesPerToken(ModelSpec model, KvType type, int tensor = 1) => Layers(model, type, tensor).Sum(layer => layer.BytesPerToken);

    /// <summary>Bytes per sequence that do not depend on its length.</summary>
    public static long BytesPerSequence(ModelSpec model, KvType type, int tensor = 1, int? stateElementBytes = null) =>
        Layers(model, type, tensor, stateElementBytes).Sum(layer => layer.BytesPerSequence);

    /// <summary>Bytes of one sequence of <paramref name="tokens"/> tokens, windows taken into account.</summary>
    public static long BytesPerRequest(ModelSpec model, KvType type, long tokens, int tensor = 1) =>
        Layers(model, type, tensor).Sum(layer => layer.BytesPerSequence + (layer.BytesPerToken * Math.Min(tokens, layer.Window ?? tokens)));

    private static LayerCache Of(MixerSpec mixer, KvType type, int hidden, int t, int? state) => mixer switch
    {
        AttentionSpec { SharesKeyValuesOfLayer: not null } => default,
        AttentionSpec a => new(Math.Max(1, a.KeyValueHeads / t) * (type.Bytes(a.HeadSize) + type.Bytes(a.ValueHeadSize)), 0, a.SlidingWindow ?? a.ChunkSize, a.ChunkSize is not null),
        LatentAttentionSpec l => new(LatentBytes(l, type), 0),
        CrossAttentionSpec c => new(0, Math.Max(1, c.KeyValueHeads / t) * 2 * type.Bytes(c.HeadSize) * EncoderTokens),
        MambaSpec m => new(0, MambaState(m, t, state)),
        GatedDeltaNetSpec d => new(0, DeltaState(d, t, state)),
        ShortConvolutionSpec s => new(0, (long)hidden / t * (s.ConvolutionWidth - 1) * 2),
        _ => default,
    };

    private static long LatentBytes(LatentAttentionSpec l, KvType type)
    {
        // fp8_ds_mla: 512 fp8 values, 4 scales, the rotary part in 16 bits; the sparse indexer keeps fp8 keys with scales.
        var latent = type.Name == "fp8_ds_mla" ? l.KeyValueRank + (4 * l.KeyValueRank / 128) + (2 * l.RopeHeadSize) : type.Bytes(l.KeyValueRank + l.RopeHeadSize);
        return latent;
    }

    /// <summary>Bytes per token that the sparse indexer of all layers keeps besides: fp8 keys with a scale per 128.</summary>
    public static long IndexerBytesPerToken(ModelSpec model) =>
        model.Layers.Select(layer => layer.Mixer).OfType<LatentAttentionSpec>().Sum(latent => latent.IndexerHeadSize is { } size ? size + (4L * size / 128) : 0);

    internal static long MambaState(MambaSpec m, int t, int? state)
    {
        long bytes = state ?? m.StateElementBytes;
        if (m.Version == 1) return ((long)m.InnerSize / t * (m.ConvolutionWidth - 1) * 2) + ((long)m.InnerSize / t * m.StateSize * bytes);
        // Groups that ranks cannot divide are repeated until they can.
        var groups = m.Groups % t == 0 ? m.Groups : t;
        return ((m.InnerSize + (2L * groups * m.StateSize)) / t * (m.ConvolutionWidth - 1) * 2) + ((long)m.Heads / t * m.HeadSize * m.StateSize * bytes);
    }

    internal static long DeltaState(GatedDeltaNetSpec d, int t, int? state) =>
        (((2L * d.KeyHeads * d.KeyHeadSize) + ((long)d.ValueHeads * d.ValueHeadSize)) / t * (d.ConvolutionWidth - 1) * 2) +
        ((long)d.ValueHeads / t * d.ValueHeadSize * d.KeyHeadSize * (state ?? d.StateElementBytes));
}
