using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>Families that can be written.</summary>
public enum SyntheticFamily
{
    /// <summary>Llama 1 to 3 and its relatives.</summary>
    Llama,
    /// <summary>Llama with a sliding window on all layers.</summary>
    Mistral,
    /// <summary>Biases on query, key and value.</summary>
    Qwen2,
    /// <summary>Norms on queries and keys.</summary>
    Qwen3,
    /// <summary>Fused projections.</summary>
    Phi3,
    /// <summary>Scaled embeddings, GELU, norm weights around one.</summary>
    Gemma,
    /// <summary>Gemma with soft caps, norms after sublayers, every second layer sliding.</summary>
    Gemma2,
    /// <summary>Gemma with QK-norm and five sliding layers to each full one.</summary>
    Gemma3,
    /// <summary>Llama whose every fourth layer has no positions.</summary>
    SmolLm3,
}

/// <summary>Rotary scaling that can be written.</summary>
public enum SyntheticScaling
{
    /// <summary>None.</summary>
    None,
    /// <summary>Positions divided by four.</summary>
    Linear,
    /// <summary>Llama 3.1's, factor 8.</summary>
    Llama3,
    /// <summary>YaRN, factor 4.</summary>
    Yarn,
    /// <summary>A factor per pair for short and long contexts.</summary>
    LongRope,
}

/// <summary>Where weights of different types go.</summary>
public enum SyntheticMixture
{
    /// <summary>All matrices have the one type.</summary>
    Uniform,
    /// <summary>llama.cpp's "medium" mixture: output, and half of the value and down projections, in Q6_K.</summary>
    Medium,
}

/// <summary>What random model to write. Everything, weights too, follows from these values.</summary>
public sealed record SyntheticModel
{
    /// <summary>Family.</summary>
    public required SyntheticFamily Family { get; init; }
    /// <summary>Type of the matrices; norms and biases are floats.</summary>
    public TensorType Type { get; init; } = TensorType.F32;
    /// <summary>Whether some matrices are of a better type.</summary>
    public SyntheticMixture Mixture { get; init; }
    /// <summary>Decoder layers.</summary>
    public int Layers { get; init; } = 2;
    /// <summary>Width of the residual stream.</summary>
    public int Hidden { get; init; } = 256;
    /// <summary>Query heads.</summary>
    public int Heads { get; init; } = 8;
    /// <summary>Key/value heads.</summary>
    public int KeyValueHeads { get; init; } = 4;
    /// <summary>Size of a head; hidden / heads where 0.</summary>
    public int HeadSize { get; init; }
    /// <summary>Inner width of the feed-forward networks.</summary>
    public int FeedForward { get; init; } = 512;
    /// <summary>Tokens; at least 320.</summary>
    public int Vocabulary { get; init; } = 384;
    /// <summary>Trained positions.</summary>
    public int Context { get; init; } = 4096;
    /// <summary>Positions before scaling.</summary>
    public int OriginalContext { get; init; } = 1024;
    /// <summary>Base of the rotary embedding.</summary>
    public double Theta { get; init; } = 10000;
    /// <summary>Rotary scaling.</summary>
    public SyntheticScaling Scaling { get; init; }
    /// <summary>Share of a head that rotates (phi-4-mini: 0.75).</summary>
    public double RotaryShare { get; init; } = 1;
    /// <summary>Sliding window of the families that have one, in tokens; 0 for none.</summary>
    public int Window { get; init; }
    /// <summary>Whether the output projection is the embedding table. Gemma's always is.</summary>
    public bool Tied { get; init; }
    /// <summary>Whether every token but bytes and control tokens is a word, and the model writes those: text that reads back as the same tokens.</summary>
    public bool Words { get; init; }
    /// <summary>Seed of the weights.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Size of a head.</summary>
    public int EffectiveHeadSize => HeadSize > 0 ? HeadSize : Hidden / Heads;
    /// <summary>Dimensions of a head that rotate.</summary>
    public int RotaryDimensions => (int)(EffectiveHeadSize * RotaryShare);
    /// <summary>Gemma and its successors.</summary>
    public bool IsGemma => Family is SyntheticFamily.Gemma or SyntheticFamily.Gemma2 or SyntheticFamily.Gemma3;
    /// <summary>Whether sublayers have norms behind them.</summary>
    public bool PostNorms => Family is SyntheticFamily.Gemma2 or SyntheticFamily.Gemma3;
    /// <summary>Whether queries and keys are normalized.</summary>
    public bool QkNorm => Family is SyntheticFamily.Qwen3 or SyntheticFamily.Gemma3;
    /// <summary>Whether the output projection is the embedding table.</summary>
    public bool IsTied => Tied || IsGemma;
    /// <summary>general.architecture.</summary>
    public string GgufArchitecture => Family == SyntheticFamily.Mistral ? "llama" : Family.ToString().ToLowerInvariant();
    /// <summary>model_type.</summary>
    public string HuggingFaceType => Family == SyntheticFamily.Gemma3 ? "gemma3_text" : Family.ToString().ToLowerInvariant();

    /// <summary>A model of a family that is small enough for tests: two layers (Gemma 3: six), a vocabulary of 384.</summary>
    public static SyntheticModel Tiny(SyntheticFamily family, TensorType type = TensorType.F32, ulong seed = 1) => new()
    {
        Family = family,
        Type = type,
        Seed = seed,
        Layers = family switch { SyntheticFamily.Gemma3 => 6, SyntheticFamily.SmolLm3 => 4, _ => 2 },
        Window = family is SyntheticFamily.Mistral or SyntheticFamily.Gemma2 or SyntheticFamily.Gemma3 ? 16 : 0,
        Theta = family == SyntheticFamily.Gemma3 ? 1e6 : 10000,
        HeadSize = family is SyntheticFamily.Qwen3 or SyntheticFamily.Gemma3 ? 64 : 0,
    };

    /// <summary>Factors of longrope for short (near one) and long contexts (growing), by pair.</summary>
    internal (float[] Short, float[] Long) LongRopeFactors()
    {
        var pairs = RotaryDimensions / 2;
        return ([.. Enumerable.Range(0, pairs).Select(i => 1 + i / (64f * pairs))], [.. Enumerable.Range(0, pairs).Select(i => 1 + 3f * i / pairs)]);
    }
}
