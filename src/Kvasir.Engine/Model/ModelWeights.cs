using System.Collections.Immutable;
using Kvasir.Checkpoints;
using Kvasir.Kernels;

namespace Kvasir.Engine.Model;

/// <summary>A model's weights, ready for the kernels.</summary>
internal sealed class ModelWeights : IDisposable
{
    /// <summary>Memory of packed matrices; null when they are used in the mapped file.</summary>
    public required NativeBuffer? Arena { get; init; }
    /// <summary>[vocabulary, hidden].</summary>
    public required WeightMatrix Embedding { get; init; }
    /// <summary>[vocabulary, hidden]; the embedding where they are tied.</summary>
    public required WeightMatrix Output { get; init; }
    /// <summary>[vocabulary] or empty.</summary>
    public required float[] OutputBias { get; init; }
    /// <summary>[hidden].</summary>
    public required float[] FinalNorm { get; init; }
    /// <summary>[hidden] or empty.</summary>
    public required float[] FinalNormBias { get; init; }
    /// <summary>In the order they run.</summary>
    public required ImmutableArray<LayerWeights> Layers { get; init; }

    public void Dispose() => Arena?.Dispose();
}

/// <summary>One layer's weights. Vectors that the model lacks are empty.</summary>
internal sealed class LayerWeights
{
    public required float[] MixerNorm { get; init; }
    public required float[] MixerNormBias { get; init; }
    public required WeightMatrix Query { get; init; }
    public required WeightMatrix Key { get; init; }
    public required WeightMatrix Value { get; init; }
    public required float[] QueryBias { get; init; }
    public required float[] KeyBias { get; init; }
    public required float[] ValueBias { get; init; }
    public required float[] QueryNorm { get; init; }
    public required float[] KeyNorm { get; init; }
    public required WeightMatrix AttentionOutput { get; init; }
    public required float[] AttentionOutputBias { get; init; }
    public required float[] PostMixerNorm { get; init; }
    public required float[] FeedForwardNorm { get; init; }
    public required float[] FeedForwardNormBias { get; init; }
    public required WeightMatrix Gate { get; init; }
    public required WeightMatrix Up { get; init; }
    public required WeightMatrix Down { get; init; }
    public required float[] GateBias { get; init; }
    public required float[] UpBias { get; init; }
    public required float[] DownBias { get; init; }
    public required float[] PostFeedForwardNorm { get; init; }
}
