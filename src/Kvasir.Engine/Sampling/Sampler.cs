using System.Numerics.Tensors;

namespace Kvasir.Engine.Sampling;

/// <summary>Chooses tokens from logits. One instance serves all sequences in turn; it allocates nothing per token.</summary>
internal sealed class Sampler
{
    /// <summary>Logit distance below the best beyond which a first guess cuts the tail: e⁻¹⁶ of the best's probability.</summary>
    private const float FirstTail = 16;

    private readonly float[] _values;
    private readonly float[] _keys;
    private readonly int[] _ids;

    public Sampler(int vocabularySize)
    {
        _values = new float[vocabularySize];
        _keys = new float[vocabularySize];
        _ids = new int[vocabularySize];
    }

    /// <summary>Bytes of an instance's buffers.</summary>
    public static long Bytes(int vocabularySize) => 12L * vocabularySize;

    /// <summary>Chooses a token.</summary>
    /// <param name="logits">[vocabulary], unchanged.</param>
    /// <param name="options">How.</param>
    /// <param name="history">What the penalties look at; null where there are none.</param>
    /// <param name="uniform">A number in [0, 1) that decides.</param>
    public int Sample(ReadOnlySpan<float> logits, SamplingOptions options, TokenHistory? history, double uniform)
    {
        var values = _values.AsSpan(0, logits.Length);
        logits.CopyTo(values);
        foreach (var (token, bias) in options.LogitBias)
            if (token < values.Length) values[token] += bias;
        history?.Penalize(options, values);
        var best = TensorPrimitives.IndexOfMax<float>(values);
        if (options.Temperature == 0 || best < 0) return Math.Max(best, 0);
        TensorPrimitives.Multiply(values, 1 / options.Temperature, values);
        var top = values[best];
        if (float.IsInfinity(top)) return best;
        if (options is { TopK: 0, TopP: 1, MinP: 0, TypicalP: 1 }) return DrawFromAll(values, top, uniform);
        var count = Gather(values, top, options);
        count = Typical(count, options.TypicalP);
        count = Nucleus(count, options.TopP);
        return Draw(count, uniform);
    }

    private static int DrawFromAll(ReadOnlySpan<float> values, float top, double uniform)
    {
        double mass = 0;
        foreach (var value in values) mass += Math.Exp(value - top);
        var left = uniform * mass;
        var last = 0;
        for (var i = 0; i < values.Length; i++)
        {
            var weight = Math.Exp(values[i] - top);
            if (weight == 0) continue;
            last = i;
            left -= weight;
            if (left < 0) return i;
        }
        return last;
    }

    /// <summary>Fills ids and keys (negated logits) with the candidates, most likely first, after min-p and top-k.</summary>
    private int Gather(ReadOnlySpan<float> values, float top, SamplingOptions options)
    {
        var floor = options.MinP > 0 ? top + MathF.Log(options.MinP) : float.NegativeInfinity;
        double mass = 0;
        if (options.TopP < 1 && options.TopK == 0 && options.TypicalP == 1)
            foreach (var value in values)
                if (value >= floor) mass += Math.Exp(value - top);
        for (var tail = FirstTail; ; tail *= 4)
        {
            var cut = Math.Max(floor, top - tail);
            var count = 0;
            double gathered = 0;
            for (var i = 0; i < values.Length; i++)
            {
                if (!(values[i] >= cut)) continue;
                gathered += Math.Exp(values[i] - top);
                (_keys[count], _ids[count++]) = (-values[i], i);
            }
            // Enough when nothing that a filter could keep is left below the cut.
            var enough = cut == floor || tail > 1e6f
                || (options.TopK > 0 ? count >= options.TopK : mass > 0 && gathered >= options.TopP * mass);
            if (!enough) continue;
            Array.Sort(_keys, _ids, 0, count);
            return options.TopK > 0 ? Math.Min(count, options.TopK) : count;
        }
    }

    private int Typical(int count, float typicalP)
    {
        if (typicalP >= 1) return count;
        double mass = 0, entropy = 0;
        for (var i = 0; i < count; i++) mass += Math.Exp(_keys[0] - _keys[i]);
        var logMass = Math.Log(mass) - _keys[0];
        for (var i = 0; i < count; i++) entropy += Math.Exp(-_keys[i] - logMass) * (_keys[i] + logMass);
        // Sort by how far the surprise is from the entropy, keep the mass, then sort by likelihood again.
        for (var i = 0; i < count; i++) _values[i] = (float)Math.Abs(_keys[i] + logMass - entropy);
        var surprise = _values.AsSpan(0, count);
        Span<int> ids = _ids.AsSpan(0, count);
        var order = _keys.AsSpan(0, count);
        SortTogether(surprise, order, ids);
        double kept = 0;
        var keep = 0;
        while (keep < count && kept < typicalP) kept += Math.Exp(-order[keep++] - logMass);
        Array.Sort(_keys, _ids, 0, keep);
        return keep;
    }

    /// <summary>Heap sort of three spans by the first, in place.</summary>
    private static void SortTogether(Span<float> keys, Span<float> first, Span<int> second)
    {
        for (var end = keys.Length / 2 - 1; end >= 0; end--) Sift(keys, first, second, end, keys.Length);
        for (var end = keys.Length - 1; end > 0; end--)
        {
            Swap(keys, first, second, 0, end);
            Sift(keys, first, second, 0, end);
        }
    }

    private static void Sift(Span<float> keys, Span<float> first, Span<int> second, int root, int end)
    {
        for (var child = 2 * root + 1; child < end; root = child, child = 2 * root + 1)
        {
            if (child + 1 < end && keys[child + 1] > keys[child]) child++;
            if (keys[root] >= keys[child]) return;
            Swap(keys, first, second, root, child);
        }
    }

    private static void Swap(Span<float> keys, Span<float> first, Span<int> second, int a, int b)
    {
        (keys[a], keys[b]) = (keys[b], keys[a]);
        (first[a], first[b]) = (first[b], first[a]);
        (second[a], second[b]) = (second[b], second[a]);
    }

    private int Nucleus(int count, float topP)
    {
        if (topP >= 1) return count;
        double mass = 0, kept = 0;
        for (var i = 0; i < count; i++) mass += Math.Exp(_keys[0] - _keys[i]);
        for (var i = 0; i < count; i++)
        {
            kept += Math.Exp(_keys[0] - _keys[i]);
            if (kept >= topP * mass) return i + 1;
        }
        return count;
    }

    private int Draw(int count, double uniform)
    {
        double mass = 0;
        for (var i = 0; i < count; i++) mass += Math.Exp(_keys[0] - _keys[i]);
        var left = uniform * mass;
        for (var i = 0; i < count; i++)
        {
            left -= Math.Exp(_keys[0] - _keys[i]);
            if (left < 0) return _ids[i];
        }
        return _ids[Math.Max(0, count - 1)];
    }
}
