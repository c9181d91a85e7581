using Kvasir.Checkpoints;
using Kvasir.Kernels;

namespace Kvasir.Engine.Model;

/// <summary>Memory of one step's intermediate values, sized for the largest step and allocated once.</summary>
internal sealed class DecoderBuffers : IDisposable
{
    private readonly NativeBuffer _memory;
    private readonly FloatMatrix _query, _key, _value, _attended, _gate, _up;

    public DecoderBuffers(ModelSpec spec, int maxTokens, int maxLogitRows)
    {
        (MaxTokens, MaxLogitRows) = (maxTokens, maxLogitRows);
        var sizes = Sizes(spec);
        _memory = new NativeBuffer(FloatBytes(spec, maxTokens, maxLogitRows));
        Activations = new Activations(maxTokens, sizes.Widest);
        var offset = 0L;
        FloatMatrix Take(int rows, int columns)
        {
            var matrix = _memory.Floats(rows, columns, offset);
            offset += Padded(rows, columns);
            return matrix;
        }
        Hidden = Take(maxTokens, sizes.Hidden);
        Normed = Take(maxTokens, sizes.Hidden);
        Delta = Take(maxTokens, sizes.Hidden);
        _query = Take(maxTokens, sizes.Query);
        _key = Take(maxTokens, sizes.Key);
        _value = Take(maxTokens, sizes.Value);
        _attended = Take(maxTokens, sizes.Attended);
        _gate = Take(maxTokens, sizes.FeedForward);
        _up = Take(maxTokens, sizes.FeedForward);
        Logits = Take(maxLogitRows, spec.VocabularySize);
    }

    public int MaxTokens { get; }

    public int MaxLogitRows { get; }

    public Activations Activations { get; }

    /// <summary>The residual stream [tokens, hidden].</summary>
    public FloatMatrix Hidden { get; }

    /// <summary>[tokens, hidden].</summary>
    public FloatMatrix Normed { get; }

    /// <summary>What a layer half adds to the residual stream [tokens, hidden].</summary>
    public FloatMatrix Delta { get; }

    /// <summary>[logit rows, vocabulary].</summary>
    public FloatMatrix Logits { get; }

    /// <summary>Bytes that an instance takes.</summary>
    public static long Bytes(ModelSpec spec, int maxTokens, int maxLogitRows) =>
        FloatBytes(spec, maxTokens, maxLogitRows) + Activations.Bytes(maxTokens, Sizes(spec).Widest);

    public FloatMatrix Query(AttentionSpec spec, int tokens) => _query.Top(tokens).SliceColumns(0, spec.Heads * spec.HeadSize);

    public FloatMatrix Key(AttentionSpec spec, int tokens) => _key.Top(tokens).SliceColumns(0, spec.KeyValueHeads * spec.HeadSize);

    public FloatMatrix Value(AttentionSpec spec, int tokens) => _value.Top(tokens).SliceColumns(0, spec.KeyValueHeads * spec.ValueHeadSize);

    public FloatMatrix Attended(AttentionSpec spec, int tokens) => _attended.Top(tokens).SliceColumns(0, spec.Heads * spec.ValueHeadSize);

    public FloatMatrix Gate(int size, int tokens) => _gate.Top(tokens).SliceColumns(0, size);

    public FloatMatrix Up(int size, int tokens) => _up.Top(tokens).SliceColumns(0, size);

    public void Dispose()
    {
        Activations.Dispose();
        _memory.Dispose();
    }

    private static long FloatBytes(ModelSpec spec, int maxTokens, int maxLogitRows)
    {
        var sizes = Sizes(spec);
        return 3 * Padded(maxTokens, sizes.Hidden) + Padded(maxTokens, sizes.Query) + Padded(maxTokens, sizes.Key)
            + Padded(maxTokens, sizes.Value) + Padded(maxTokens, sizes.Attended) + 2 * Padded(maxTokens, sizes.FeedForward)
            + Padded(maxLogitRows, spec.VocabularySize);
    }

    private static long Padded(int rows, int columns) => ((long)rows * columns * sizeof(float) + 63) & ~63L;

    private static (int Hidden, int Query, int Key, int Value, int Attended, int FeedForward, int Widest) Sizes(ModelSpec spec)
    {
        var attention = spec.Layers.Select(layer => (AttentionSpec)layer.Mixer).ToArray();
        var query = attention.Max(a => a.Heads * a.HeadSize);
        var attended = attention.Max(a => a.Heads * a.ValueHeadSize);
        var feedForward = spec.Layers.Max(layer => ((DenseFeedForwardSpec)layer.FeedForward!).IntermediateSize);
        return (spec.HiddenSize, query, attention.Max(a => a.KeyValueHeads * a.HeadSize), attention.Max(a => a.KeyValueHeads * a.ValueHeadSize),
            attended, feedForward, Math.Max(spec.HiddenSize, Math.Max(attended, feedForward)));
    }
}
