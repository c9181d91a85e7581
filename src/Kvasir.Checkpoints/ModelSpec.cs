using System.Collections.Immutable;

namespace Kvasir.Checkpoints;

/// <summary>
/// What a model is: every size and rule that the planner prices, the engine runs and the gateway tokenizes by.
/// It holds shapes only; <c>Checkpoint</c> says where the bytes are.
/// </summary>
public sealed record ModelSpec
{
    /// <summary>The architecture's name as the checkpoint gives it: "llama", "qwen3", "gemma3" …</summary>
    public required string Architecture { get; init; }
    /// <summary>The model's own name, or its file's.</summary>
    public required string Name { get; init; }
    /// <summary>Rows of the embedding table.</summary>
    public required int VocabularySize { get; init; }
    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }
    /// <summary>Positions the model was trained for, after RoPE scaling.</summary>
    public required int ContextLength { get; init; }
    /// <summary>Layers in the order they run.</summary>
    public required ImmutableArray<LayerSpec> Layers { get; init; }
    /// <summary>The norms' kind and epsilon.</summary>
    public required NormSpec Norm { get; init; }
    /// <summary>Whether the output projection is the embedding table.</summary>
    public bool TiedEmbeddings { get; init; }
    /// <summary>Factor on embeddings as they enter the first layer (Gemma: √hidden).</summary>
    public float EmbeddingScale { get; init; } = 1;
    /// <summary>Factor on logits (Granite, Command-R), 1 for most.</summary>
    public float LogitScale { get; init; } = 1;
    /// <summary>Factor on what each layer adds to the residual stream (Granite), 1 for most.</summary>
    public float ResidualScale { get; init; } = 1;
    /// <summary>Soft cap on the final logits, c·tanh(x/c), or null.</summary>
    public float? LogitSoftcap { get; init; }
    /// <summary>Parameters counted from the tensors, or computed from the shapes where there are none.</summary>
    public long ParameterCount { get; init; }
    /// <summary>Parameters of vision and audio towers with their projectors, outside <see cref="Layers"/>; 0 for text models.</summary>
    public long EncoderParameters { get; init; }
    /// <summary>Patches of the largest picture that a vision tower takes at once, 0 for none or unknown.</summary>
    public int EncoderPatches { get; init; }
    /// <summary>Width of a vision tower.</summary>
    public int EncoderWidth { get; init; }
    /// <summary>Extra layers that predict further tokens (DeepSeek's MTP); loaded for speculative decoding alone.</summary>
    public int PredictionLayers { get; init; }
    /// <summary>Rows of a learned position table (GPT-2, BERT), 0 where positions are rotary.</summary>
    public int PositionRows { get; init; }
    /// <summary>Rows of a learned token type table (BERT), 0 for none.</summary>
    public int TokenTypeRows { get; init; }
    /// <summary>Whether the model has no output projection (embedding models).</summary>
    public bool EncoderOnly { get; init; }
}

/// <summary>Normalization before a projection.</summary>
/// <param name="Kind">RMS norm or layer norm.</param>
/// <param name="Epsilon">Added to the mean square (or variance) before the root.</param>
/// <param name="WeightOffset">Added to each stored weight: 1 where the file stores w−1 (Gemma in safetensors), else 0.</param>
public sealed record NormSpec(NormKind Kind, float Epsilon, float WeightOffset = 0);

/// <summary>Kinds of normalization.</summary>
public enum NormKind
{
    /// <summary>x / rms(x) · w.</summary>
    Rms,
    /// <summary>(x − mean) / std · w + b.</summary>
    Layer,
}

/// <summary>One layer: a token mixer, then a feed-forward network, each with its norms.</summary>
public sealed record LayerSpec
{
    /// <summary>How tokens see each other.</summary>
    public required MixerSpec Mixer { get; init; }
    /// <summary>What happens to each token by itself; null where the layer has none (pure Mamba).</summary>
    public required FeedForwardSpec? FeedForward { get; init; }
    /// <summary>Whether the mixer's output is normalized before it is added (Gemma 2 and 3).</summary>
    public bool PostMixerNorm { get; init; }
    /// <summary>Whether the feed-forward's output is normalized before it is added (Gemma 2 and 3).</summary>
    public bool PostFeedForwardNorm { get; init; }
    /// <summary>Whether the norms stand behind mixer and feed-forward only (Olmo 2 and 3): as many, elsewhere.</summary>
    public bool OnlyPostNorms { get; init; }
    /// <summary>Whether a parallel layer has a norm of its own for the feed-forward (GPT-NeoX).</summary>
    public bool SeparateParallelNorms { get; init; }
    /// <summary>Whether mixer and feed-forward read the same normalized input and are added together (Falcon, Phi-2, Command-R).</summary>
    public bool Parallel { get; init; }
}

/// <summary>A token mixer; its kind decides what a sequence keeps in memory.</summary>
public abstract record MixerSpec;

/// <summary>Softmax attention over keys and values: multi-head, grouped-query, multi-query.</summary>
public sealed record AttentionSpec : MixerSpec
{
    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }
    /// <summary>Key/value heads; divides <see cref="Heads"/>.</summary>
    public required int KeyValueHeads { get; init; }
    /// <summary>Size of one query or key head.</summary>
    public required int HeadSize { get; init; }
    /// <summary>Size of one value head; equal to <see cref="HeadSize"/> in most models.</summary>
    public required int ValueHeadSize { get; init; }
    /// <summary>Factor on q·k, 1/√head size in most models.</summary>
    public required float Scale { get; init; }
    /// <summary>Positions a query sees including its own, or null for all.</summary>
    public int? SlidingWindow { get; init; }
    /// <summary>Tokens see only their own chunk of this many positions (Llama 4), or null.</summary>
    public int? ChunkSize { get; init; }
    /// <summary>Soft cap on scores before the softmax, c·tanh(x/c), or null.</summary>
    public float? ScoreSoftcap { get; init; }
    /// <summary>Rotary embedding, or null (NoPE).</summary>
    public RopeSpec? Rope { get; init; }
    /// <summary>Query, key and value projections carry biases (Qwen2).</summary>
    public bool QkvBias { get; init; }
    /// <summary>The output projection carries a bias.</summary>
    public bool OutputBias { get; init; }
    /// <summary>Queries and keys are normalized per head before RoPE (Qwen3, Gemma 3).</summary>
    public bool QkNorm { get; init; }
    /// <summary>Learned sink logits per head join the softmax (gpt-oss).</summary>
    public bool Sinks { get; init; }
    /// <summary>The query projection carries a gate of the same size for the output (Qwen3-Next).</summary>
    public bool OutputGate { get; init; }
    /// <summary>Weights of the query and key norms span all heads together, not one head (Olmo 2 and 3, MiniMax).</summary>
    public bool QkNormOverAllHeads { get; init; }
    /// <summary>Values are the keys: one projection and one tensor (Gemma 4's global layers).</summary>
    public bool KeysAreValues { get; init; }
    /// <summary>Index of the earlier layer whose keys and values this one reads (Gemma 3n, Hunyuan), or null.</summary>
    public int? SharesKeyValuesOfLayer { get; init; }
}

/// <summary>Multi-head latent attention (DeepSeek V2/V3, Kimi K2): a compressed latent and one rotary key per token.</summary>
public sealed record LatentAttentionSpec : MixerSpec
{
    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }
    /// <summary>Size of the key/value latent.</summary>
    public required int KeyValueRank { get; init; }
    /// <summary>Size of the query latent, or null when queries are projected directly.</summary>
    public required int? QueryRank { get; init; }
    /// <summary>Rotary part of a head.</summary>
    public required int RopeHeadSize { get; init; }
    /// <summary>Non-rotary part of a query or key head.</summary>
    public required int NopeHeadSize { get; init; }
    /// <summary>Size of a value head.</summary>
    public required int ValueHeadSize { get; init; }
    /// <summary>Size of the sparse indexer's key per token (DeepSeek V3.2), or null.</summary>
    public int? IndexerHeadSize { get; init; }
    /// <summary>Heads of the sparse indexer's query, 0 for none.</summary>
    public int IndexerHeads { get; init; }
    /// <summary>Rotary embedding of the rotary part.</summary>
    public RopeSpec? Rope { get; init; }
}

/// <summary>A state-space layer (Mamba-1 or Mamba-2): a state of fixed size per sequence, whatever its length.</summary>
public sealed record MambaSpec : MixerSpec
{
    /// <summary>1 or 2.</summary>
    public required int Version { get; init; }
    /// <summary>Inner width.</summary>
    public required int InnerSize { get; init; }
    /// <summary>State size per channel (Mamba-1) or head (Mamba-2).</summary>
    public required int StateSize { get; init; }
    /// <summary>Width of the causal convolution.</summary>
    public required int ConvolutionWidth { get; init; }
    /// <summary>Heads (Mamba-2).</summary>
    public int Heads { get; init; }
    /// <summary>Size of one head (Mamba-2).</summary>
    public int HeadSize { get; init; }
    /// <summary>Groups that share B and C (Mamba-2).</summary>
    public int Groups { get; init; }
    /// <summary>Rank of the time-step projection (Mamba-1).</summary>
    public int TimeStepRank { get; init; }
    /// <summary>Bytes per element of the recurrent state that the checkpoint asks for, 4 in most models.</summary>
    public int StateElementBytes { get; init; } = 4;
}

/// <summary>A short gated convolution (LFM2): the last few inputs per sequence.</summary>
public sealed record ShortConvolutionSpec : MixerSpec
{
    /// <summary>Width of the causal convolution.</summary>
    public required int ConvolutionWidth { get; init; }
}

/// <summary>A gated delta net layer (Qwen3-Next, Kimi Linear): a matrix state per head, whatever the length.</summary>
public sealed record GatedDeltaNetSpec : MixerSpec
{
    /// <summary>Key heads.</summary>
    public required int KeyHeads { get; init; }
    /// <summary>Value heads.</summary>
    public required int ValueHeads { get; init; }
    /// <summary>Size of a key head.</summary>
    public required int KeyHeadSize { get; init; }
    /// <summary>Size of a value head.</summary>
    public required int ValueHeadSize { get; init; }
    /// <summary>Width of the causal convolution.</summary>
    public required int ConvolutionWidth { get; init; }
    /// <summary>Bytes per element of the recurrent state that the checkpoint asks for.</summary>
    public int StateElementBytes { get; init; } = 4;
}

/// <summary>Attention over another model's states (vision in Llama 3.2): keys and values of a fixed number of tokens.</summary>
public sealed record CrossAttentionSpec : MixerSpec
{
    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }
    /// <summary>Key/value heads.</summary>
    public required int KeyValueHeads { get; init; }
    /// <summary>Size of one head.</summary>
    public required int HeadSize { get; init; }
}

/// <summary>A layer without a token mixer (Nemotron-H's feed-forward layers).</summary>
public sealed record NoMixerSpec : MixerSpec;

/// <summary>What happens to each token by itself.</summary>
public abstract record FeedForwardSpec;

/// <summary>A dense feed-forward network.</summary>
public sealed record DenseFeedForwardSpec : FeedForwardSpec
{
    /// <summary>Inner width.</summary>
    public required int IntermediateSize { get; init; }
    /// <summary>Non-linearity.</summary>
    public required Activation Activation { get; init; }
    /// <summary>down(act(gate(x)) · up(x)) when true, else down(act(up(x))).</summary>
    public bool Gated { get; init; } = true;
    /// <summary>The projections carry biases.</summary>
    public bool Bias { get; init; }
}

/// <summary>A mixture of experts: each token runs through a few of many networks.</summary>
public sealed record ExpertFeedForwardSpec : FeedForwardSpec
{
    /// <summary>Routed experts.</summary>
    public required int Experts { get; init; }
    /// <summary>Routed experts per token.</summary>
    public required int ExpertsPerToken { get; init; }
    /// <summary>Inner width of one routed expert.</summary>
    public required int ExpertIntermediateSize { get; init; }
    /// <summary>Inner width of the shared experts together, 0 for none.</summary>
    public int SharedIntermediateSize { get; init; }
    /// <summary>Whether the shared expert has a gate of its own (Qwen-MoE).</summary>
    public bool SharedGate { get; init; }
    /// <summary>Non-linearity.</summary>
    public required Activation Activation { get; init; }
    /// <summary>Gate and up projection, or up alone.</summary>
    public bool Gated { get; init; } = true;
    /// <summary>Router and experts carry biases (gpt-oss).</summary>
    public bool Bias { get; init; }
    /// <summary>The router alone carries a correction bias per expert (DeepSeek V3, MiniMax).</summary>
    public bool RouterBias { get; init; }
}

/// <summary>Non-linearities of feed-forward networks.</summary>
public enum Activation
{
    /// <summary>x · sigmoid(x).</summary>
    Silu,
    /// <summary>GELU by its tanh approximation.</summary>
    GeluTanh,
    /// <summary>GELU by the error function.</summary>
    Gelu,
    /// <summary>max(x, 0)².</summary>
    ReluSquared,
    /// <summary>max(x, 0).</summary>
    Relu,
}

/// <summary>Rotary position embedding.</summary>
public sealed record RopeSpec
{
    /// <summary>Rotated dimensions per head; the rest pass unchanged (partial rotary).</summary>
    public required int Dimensions { get; init; }
    /// <summary>Base of the frequencies.</summary>
    public required float Theta { get; init; }
    /// <summary>Which dimensions form a pair.</summary>
    public required RopePairing Pairing { get; init; }
    /// <summary>
    /// Angle per position of each pair, radians, [Dimensions / 2], with every scaling (linear, llama3, YaRN, longrope)
    /// already applied for the short context.
    /// </summary>
    public required ImmutableArray<float> Frequencies { get; init; }
    /// <summary>Frequencies for contexts beyond <see cref="LongContextThreshold"/> (longrope), or default.</summary>
    public ImmutableArray<float> LongFrequencies { get; init; }
    /// <summary>The context size, in tokens, above which <see cref="LongFrequencies"/> hold.</summary>
    public int LongContextThreshold { get; init; }
    /// <summary>Factor on cosine and sine (YaRN, longrope).</summary>
    public float Magnitude { get; init; } = 1;
}

/// <summary>Which dimensions of a head rotate together.</summary>
public enum RopePairing
{
    /// <summary>(0, 1), (2, 3) …: GGUF's llama layout.</summary>
    Adjacent,
    /// <summary>(0, d/2), (1, d/2 + 1) …: Hugging Face's layout, "NEOX".</summary>
    Halves,
}
