using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Kvasir.Engine.Sampling;

/// <summary>A token and the natural logarithm of its probability under the model, before sampling options.</summary>
/// <param name="Token">The token's id.</param>
/// <param name="Value">ln p.</param>
public readonly record struct TokenLogProbability(int Token, float Value);

/// <summary>Log-probabilities from logits.</summary>
internal static class LogProbabilities
{
    /// <summary>ln Σ exp(logits), in double.</summary>
    public static double LogSum(ReadOnlySpan<float> logits)
    {
        var top = float.NegativeInfinity;
        foreach (var value in logits) top = Math.Max(top, value);
        if (float.IsInfinity(top)) return top;
        double sum = 0;
        foreach (var value in logits) sum += Math.Exp(value - top);
        return top + Math.Log(sum);
    }

    /// <summary>Kullback-Leibler divergence Σ p ln(p / q) of the distributions of two sets of logits; NaN where either has none.</summary>
    public static double Divergence(ReadOnlySpan<float> p, ReadOnlySpan<float> q)
    {
        var (sumP, sumQ) = (LogSum(p), LogSum(q));
        double sum = 0;
        for (var i = 0; i < p.Length; i++)
            if (Math.Exp(p[i] - sumP) is var probability and not 0) sum += probability * ((p[i] - sumP) - (q[i] - sumQ));
        return sum;
    }

    /// <summary>The <paramref name="count"/> most likely tokens, best first, ties by lower id.</summary>
    public static ImmutableArray<TokenLogProbability> Top(ReadOnlySpan<float> logits, double logSum, int count)
    {
        if (count <= 0) return [];
        var top = new TokenLogProbability[Math.Min(count, logits.Length)];
        var held = 0;
        for (var token = 0; token < logits.Length; token++)
        {
            var value = logits[token];
            if (held == top.Length && !(value > top[held - 1].Value)) continue;
            var place = held < top.Length ? held++ : held - 1;
            for (; place > 0 && value > top[place - 1].Value; place--) top[place] = top[place - 1];
            top[place] = new TokenLogProbability(token, value);
        }
        for (var i = 0; i < held; i++) top[i] = top[i] with { Value = (float)(top[i].Value - logSum) };
        return ImmutableCollectionsMarshal.AsImmutableArray(top);
    }
}
