using System.Collections.Immutable;

namespace Kvasir.Checkpoints.Families;

/// <summary>Which layers of a family slide where the checkpoint does not list them.</summary>
internal enum SlidingLayers
{
    None,
    All,
    /// <summary>All but every n-th (Gemma).</summary>
    AllButEveryNth,
    /// <summary>From max_window_layers upward, if use_sliding_window (Qwen).</summary>
    Upper,
}

/// <summary>What distinguishes a dense family from Llama. The defaults are Llama's.</summary>
internal sealed record DenseRules
{
    public required ImmutableArray<string> HuggingFaceTypes { get; init; }
    public required ImmutableArray<string> GgufArchitectures { get; init; }
    /// <summary>Llama's converter reorders query and key rows so that pairs are adjacent; others keep halves.</summary>
    public RopePairing GgufPairing { get; init; } = RopePairing.Halves;
    public Activation Activation { get; init; } = Activation.Silu;
    /// <summary>Biases of query, key and value; null where config.json's attention_bias says so, of all four projections.</summary>
    public bool? QkvBias { get; init; }
    public bool QkNorm { get; init; }
    public bool PostNorms { get; init; }
    /// <summary>Whether config.json's absence of tie_word_embeddings means tied.</summary>
    public bool TiedByDefault { get; init; }
    /// <summary>Gemma: norm weights are stored minus one in safetensors, and embeddings are scaled by √hidden.</summary>
    public bool Gemma { get; init; }
    public SlidingLayers Sliding { get; init; }
    /// <summary>n of <see cref="SlidingLayers.AllButEveryNth"/>.</summary>
    public int SlidingPeriod { get; init; }
    /// <summary>Window where the GGUF file has none.</summary>
    public int? DefaultWindow { get; init; }
    /// <summary>Sliding layers have a rotary base of their own and no scaling (Gemma 3).</summary>
    public bool LocalRope { get; init; }
    /// <summary>Layers of the one size whose attention scale is √(hidden/heads) and not √head size (Gemma 27B); GGUF does not say it.</summary>
    public int WideScaleLayers { get; init; }
    /// <summary>Every fourth layer goes without positions where the checkpoint does not list them (SmolLM3).</summary>
    public bool NoRopeEveryFourth { get; init; }
    /// <summary>Values of config.json's fields that its writers leave out, by field.</summary>
    public ImmutableDictionary<string, double> ConfigDefaults { get; init; } = ImmutableDictionary<string, double>.Empty;
    public TensorNames HuggingFaceNames { get; init; } = TensorNames.HuggingFace;
}
