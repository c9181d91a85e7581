using Kvasir.Checkpoints;

namespace Kvasir.Planning;

/// <summary>
/// The formulas that people use in their heads. They ignore grouped queries, windows and the engine's own needs, and are
/// off by 2 to 25 times for current models; they stand beside exact numbers, never in their place.
/// </summary>
public static class RulesOfThumb
{
    /// <summary>Parameters × bytes each × (1 + overhead).</summary>
    /// <param name="parameters">Number of parameters.</param>
    /// <param name="bytesPerParameter">2 for 16-bit types, 0.5 for 4-bit ones.</param>
    /// <param name="overhead">What is added for everything else, 0.2 by custom.</param>
    public static ByteSize Weights(long parameters, double bytesPerParameter, double overhead = 0.2)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(parameters);
        ArgumentOutOfRangeException.ThrowIfNegative(bytesPerParameter);
        ArgumentOutOfRangeException.ThrowIfNegative(overhead);
        return new ByteSize((long)(parameters * bytesPerParameter * (1 + overhead)));
    }

    /// <summary>2 × batch × sequence × layers × hidden × bytes: keys and values as if every head had its own.</summary>
    public static ByteSize KvCache(long batch, long sequenceTokens, ModelSpec spec, double bytesPerValue = 2)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(batch);
        ArgumentOutOfRangeException.ThrowIfNegative(sequenceTokens);
        return new ByteSize((long)(2.0 * batch * sequenceTokens * spec.Layers.Length * spec.HiddenSize * bytesPerValue));
    }
}
