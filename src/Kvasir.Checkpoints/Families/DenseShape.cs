using System.Collections.Immutable;

namespace Kvasir.Checkpoints.Families;

/// <summary>The numbers of a dense decoder, read from either format, before layers are composed of them.</summary>
internal sealed record DenseShape
{
    /// <summary>Bounds on what a header may claim, far above every known model, so that damage cannot fill memory.</summary>
    public const int MaximumLayers = 4096, MaximumHeads = 65536, MaximumHeadSize = 65536, MaximumWidth = 1 << 24, MaximumVocabulary = 1 << 26;

    public required string Architecture { get; init; }
    public required string Name { get; init; }
    public required int VocabularySize { get; init; }
    public required int HiddenSize { get; init; }
    public required int LayerCount { get; init; }
    public required int Heads { get; init; }
    public required int KeyValueHeads { get; init; }
    public required int HeadSize { get; init; }
    public required int ValueHeadSize { get; init; }
    public required int IntermediateSize { get; init; }
    public required int ContextLength { get; init; }
    public required float Epsilon { get; init; }
    public required Activation Activation { get; init; }
    public required bool TiedEmbeddings { get; init; }
    public required RopeParameters Rope { get; init; }
    /// <summary>Rotary embedding of sliding layers, where it is another.</summary>
    public RopeParameters? LocalRope { get; init; }
    public required RopePairing Pairing { get; init; }
    /// <summary>Factor on q·k; 1/√head size where null.</summary>
    public float? AttentionScale { get; init; }
    public float WeightOffset { get; init; }
    public float EmbeddingScale { get; init; } = 1;
    public float LogitScale { get; init; } = 1;
    public float ResidualScale { get; init; } = 1;
    public float? LogitSoftcap { get; init; }
    public float? ScoreSoftcap { get; init; }
    public int? Window { get; init; }
    /// <summary>Whether a layer slides; only asked where there is a window.</summary>
    public Func<int, bool> Slides { get; init; } = static _ => true;
    /// <summary>Whether a layer goes without positions (SmolLM3).</summary>
    public Func<int, bool> SkipsRope { get; init; } = static _ => false;
    public bool QkvBias { get; init; }
    public bool OutputBias { get; init; }
    public bool FeedForwardBias { get; init; }
    public bool QkNorm { get; init; }
    public bool PostNorms { get; init; }

    /// <summary>Composes the layers; equal ones are one object.</summary>
    public ModelSpec ToSpec(string source)
    {
        Check(source);
        var global = RopeFrequencies.Compute(Rope, Pairing, source);
        var local = LocalRope is null ? global : RopeFrequencies.Compute(LocalRope, Pairing, source);
        var kinds = new Dictionary<(bool Slides, bool SkipsRope), LayerSpec>();
        var layers = ImmutableArray.CreateBuilder<LayerSpec>(LayerCount);
        for (var i = 0; i < LayerCount; i++)
        {
            var kind = (Slides: Window is not null && Slides(i), SkipsRope: SkipsRope(i));
            if (!kinds.TryGetValue(kind, out var layer))
                kinds[kind] = layer = Layer(kind.Slides ? Window : null, kind.SkipsRope ? null : kind.Slides ? local : global);
            layers.Add(layer);
        }
        return new ModelSpec
        {
            Architecture = Architecture,
            Name = Name,
            VocabularySize = VocabularySize,
            HiddenSize = HiddenSize,
            ContextLength = ContextLength,
            Layers = layers.MoveToImmutable(),
            Norm = new NormSpec(NormKind.Rms, Epsilon, WeightOffset),
            TiedEmbeddings = TiedEmbeddings,
            EmbeddingScale = EmbeddingScale,
            LogitScale = LogitScale,
            ResidualScale = ResidualScale,
            LogitSoftcap = LogitSoftcap,
            ParameterCount = CountParameters(),
        };
    }

    private LayerSpec Layer(int? window, RopeSpec? rope) => new()
    {
        Mixer = new AttentionSpec
        {
            Heads = Heads,
            KeyValueHeads = KeyValueHeads,
            HeadSize = HeadSize,
            ValueHeadSize = ValueHeadSize,
            Scale = AttentionScale ?? (float)(1 / Math.Sqrt(HeadSize)),
            SlidingWindow = window,
            ScoreSoftcap = ScoreSoftcap,
            Rope = rope,
            QkvBias = QkvBias,
            OutputBias = OutputBias,
            QkNorm = QkNorm,
        },
        FeedForward = new DenseFeedForwardSpec { IntermediateSize = IntermediateSize, Activation = Activation, Bias = FeedForwardBias },
        PostMixerNorm = PostNorms,
        PostFeedForwardNorm = PostNorms,
    };

    private void Check(string source)
    {
        void Within(string what, long value, long maximum)
        {
            if (value < 1 || value > maximum)
                throw new CheckpointException($"{source}: {what} is {value}; 1 to {maximum} was expected.");
        }

        Within("the vocabulary size", VocabularySize, MaximumVocabulary);
        Within("the hidden size", HiddenSize, MaximumWidth);
        Within("the number of layers", LayerCount, MaximumLayers);
        Within("the number of heads", Heads, MaximumHeads);
        Within("the number of key/value heads", KeyValueHeads, Heads);
        Within("the head size", HeadSize, MaximumHeadSize);
        Within("the value head size", ValueHeadSize, MaximumHeadSize);
        Within("the feed-forward size", IntermediateSize, MaximumWidth);
        Within("the context length", ContextLength, int.MaxValue);
        if (Heads % KeyValueHeads != 0)
            throw new CheckpointException($"{source}: {Heads} heads cannot share {KeyValueHeads} key/value heads evenly.");
        if (Rope.Dimensions > HeadSize)
            throw new CheckpointException($"{source}: {Rope.Dimensions} rotary dimensions exceed the head size of {HeadSize}.");
        if (!(Epsilon is > 0 and < 1))
            throw new CheckpointException($"{source}: the norm's epsilon is {Epsilon}; a number between 0 and 1 was expected.");
        if (Window is < 1)
            throw new CheckpointException($"{source}: the sliding window is {Window}; a positive number of tokens was expected.");
    }

    private long CountParameters()
    {
        long hidden = HiddenSize, queries = (long)Heads * HeadSize, keys = (long)KeyValueHeads * HeadSize, values = (long)KeyValueHeads * ValueHeadSize;
        var layer = hidden * (queries + keys + values) + (long)Heads * ValueHeadSize * hidden + 3 * hidden * IntermediateSize + (PostNorms ? 4 : 2) * hidden;
        if (QkvBias) layer += queries + keys + values;
        if (OutputBias) layer += hidden;
        if (FeedForwardBias) layer += 2L * IntermediateSize + hidden;
        if (QkNorm) layer += 2L * HeadSize;
        return hidden * VocabularySize * (TiedEmbeddings ? 1 : 2) + hidden + LayerCount * layer;
    }
}
