using System.Collections.Immutable;

namespace Kvasir.Checkpoints;

/// <summary>One tensor in a checkpoint's files. Shape, type, offset and length have been checked against the file.</summary>
/// <param name="Name">The name in the file.</param>
/// <param name="Type">How values are stored.</param>
/// <param name="Rows">Product of all dimensions but the innermost.</param>
/// <param name="Columns">The innermost, contiguous dimension.</param>
/// <param name="File">Index of the file among the checkpoint's files.</param>
/// <param name="Offset">First byte in that file.</param>
/// <param name="Shape">Dimensions, outermost first.</param>
public sealed record TensorEntry(string Name, TensorType Type, long Rows, long Columns, int File, long Offset, ImmutableArray<long> Shape)
{
    /// <summary>Bytes of one row.</summary>
    public long RowBytes => Type.RowBytes(Columns);

    /// <summary>Bytes of the whole tensor.</summary>
    public long ByteLength => RowBytes * Rows;
}

/// <summary>Some consecutive rows of a tensor: a whole matrix, or one part of a fused one.</summary>
/// <param name="Tensor">The stored tensor.</param>
/// <param name="FirstRow">First row of the part.</param>
/// <param name="Rows">Rows of the part.</param>
public readonly record struct TensorView(TensorEntry Tensor, long FirstRow, long Rows)
{
    /// <summary>The whole tensor.</summary>
    public TensorView(TensorEntry tensor) : this(tensor, 0, tensor.Rows) { }

    /// <summary>The innermost dimension.</summary>
    public long Columns => Tensor.Columns;

    /// <summary>How values are stored.</summary>
    public TensorType Type => Tensor.Type;

    /// <summary>Bytes of the part.</summary>
    public long ByteLength => Tensor.RowBytes * Rows;
}

/// <summary>Where a dense model's weights are, by the role they play. Fused tensors appear as views of their parts.</summary>
public sealed record ModelTensors
{
    /// <summary>[vocabulary, hidden].</summary>
    public required TensorView TokenEmbedding { get; init; }
    /// <summary>[hidden].</summary>
    public required TensorView FinalNorm { get; init; }
    /// <summary>[hidden], layer norm only.</summary>
    public TensorView? FinalNormBias { get; init; }
    /// <summary>[vocabulary, hidden]; the embedding where they are tied.</summary>
    public required TensorView Output { get; init; }
    /// <summary>[vocabulary], rare.</summary>
    public TensorView? OutputBias { get; init; }
    /// <summary>One per layer, in order.</summary>
    public required ImmutableArray<LayerTensors> Layers { get; init; }
}

/// <summary>The weights of one dense attention layer.</summary>
public sealed record LayerTensors
{
    /// <summary>[hidden].</summary>
    public required TensorView MixerNorm { get; init; }
    /// <summary>[hidden], layer norm only.</summary>
    public TensorView? MixerNormBias { get; init; }
    /// <summary>[heads · head size, hidden].</summary>
    public required TensorView Query { get; init; }
    /// <summary>[key/value heads · head size, hidden].</summary>
    public required TensorView Key { get; init; }
    /// <summary>[key/value heads · value head size, hidden].</summary>
    public required TensorView Value { get; init; }
    /// <summary>[hidden, heads · value head size].</summary>
    public required TensorView AttentionOutput { get; init; }
    /// <summary>Biases, where the spec says so.</summary>
    public TensorView? QueryBias { get; init; }
    /// <summary>Biases, where the spec says so.</summary>
    public TensorView? KeyBias { get; init; }
    /// <summary>Biases, where the spec says so.</summary>
    public TensorView? ValueBias { get; init; }
    /// <summary>Biases, where the spec says so.</summary>
    public TensorView? AttentionOutputBias { get; init; }
    /// <summary>[head size], where <see cref="AttentionSpec.QkNorm"/>.</summary>
    public TensorView? QueryNorm { get; init; }
    /// <summary>[head size], where <see cref="AttentionSpec.QkNorm"/>.</summary>
    public TensorView? KeyNorm { get; init; }
    /// <summary>[hidden], where <see cref="LayerSpec.PostMixerNorm"/>.</summary>
    public TensorView? PostMixerNorm { get; init; }
    /// <summary>[hidden]; null in parallel layers that share the mixer's norm.</summary>
    public required TensorView? FeedForwardNorm { get; init; }
    /// <summary>[hidden], layer norm only.</summary>
    public TensorView? FeedForwardNormBias { get; init; }
    /// <summary>[intermediate, hidden], where gated.</summary>
    public TensorView? Gate { get; init; }
    /// <summary>[intermediate, hidden].</summary>
    public required TensorView Up { get; init; }
    /// <summary>[hidden, intermediate].</summary>
    public required TensorView Down { get; init; }
    /// <summary>Biases, where the spec says so.</summary>
    public TensorView? GateBias { get; init; }
    /// <summary>Biases, where the spec says so.</summary>
    public TensorView? UpBias { get; init; }
    /// <summary>Biases, where the spec says so.</summary>
    public TensorView? DownBias { get; init; }
    /// <summary>[hidden], where <see cref="LayerSpec.PostFeedForwardNorm"/>.</summary>
    public TensorView? PostFeedForwardNorm { get; init; }
}
