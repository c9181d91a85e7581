using System.Runtime.InteropServices;

namespace Kvasir.Checkpoints.Tests;

/// <summary>
/// A dense decoder in double precision, written as the papers have it: no cache, no batching, no speed. It says whether a
/// checkpoint's spec and tensors mean what they should, without any of the engine's code.
/// </summary>
internal sealed class ReferenceDecoder(Checkpoint checkpoint, int context)
{
    private readonly ModelSpec _spec = checkpoint.Spec;

    /// <summary>Logits after each token, [tokens][vocabulary].</summary>
    public double[][] Run(int[] tokens)
    {
        var embedding = Read(checkpoint.Tensors.TokenEmbedding);
        var states = tokens.Select(token => embedding[token].Select(x => x * _spec.EmbeddingScale).ToArray()).ToArray();
        for (var i = 0; i < _spec.Layers.Length; i++) RunLayer(states, _spec.Layers[i], checkpoint.Tensors.Layers[i]);
        var norm = Read(checkpoint.Tensors.FinalNorm)[0];
        var output = Read(checkpoint.Tensors.Output);
        return [.. states.Select(x => Multiply(output, Normalize(x, norm)).Select(y => Cap(y * _spec.LogitScale, _spec.LogitSoftcap)).ToArray())];
    }

    private void RunLayer(double[][] states, LayerSpec layer, LayerTensors tensors)
    {
        var mixed = Attend([.. states.Select(x => Normalize(x, Read(tensors.MixerNorm)[0]))], (AttentionSpec)layer.Mixer, tensors);
        for (var t = 0; t < states.Length; t++)
        {
            var addition = layer.PostMixerNorm ? Normalize(mixed[t], Read(tensors.PostMixerNorm!.Value)[0]) : mixed[t];
            Add(states[t], addition);
        }
        double[][] gate = Read(tensors.Gate!.Value), up = Read(tensors.Up), down = Read(tensors.Down);
        var norm = Read(tensors.FeedForwardNorm!.Value)[0];
        var activation = ((DenseFeedForwardSpec)layer.FeedForward!).Activation;
        foreach (var state in states)
        {
            var x = Normalize(state, norm);
            var inner = Multiply(gate, x).Zip(Multiply(up, x), (g, u) => Activate(g, activation) * u).ToArray();
            var y = Multiply(down, inner);
            Add(state, layer.PostFeedForwardNorm ? Normalize(y, Read(tensors.PostFeedForwardNorm!.Value)[0]) : y);
        }
    }

    private double[][] Attend(double[][] inputs, AttentionSpec attention, LayerTensors tensors)
    {
        var queries = Project(inputs, tensors.Query, tensors.QueryBias);
        var keys = Project(inputs, tensors.Key, tensors.KeyBias);
        var values = Project(inputs, tensors.Value, tensors.ValueBias);
        for (var t = 0; t < inputs.Length; t++)
        {
            Prepare(queries[t], attention.Heads, t, attention, tensors.QueryNorm);
            Prepare(keys[t], attention.KeyValueHeads, t, attention, tensors.KeyNorm);
        }
        var output = Read(tensors.AttentionOutput);
        return [.. inputs.Select((_, t) => Multiply(output, Heads(t, queries[t], keys, values, attention)))];
    }

    private static double[] Heads(int t, double[] query, double[][] keys, double[][] values, AttentionSpec attention)
    {
        int size = attention.HeadSize, shared = attention.Heads / attention.KeyValueHeads;
        var first = attention.SlidingWindow is { } window ? Math.Max(0, t - window + 1) : 0;
        var mixed = new double[attention.Heads * attention.ValueHeadSize];
        for (var head = 0; head < attention.Heads; head++)
        {
            var at = head / shared;
            var scores = Enumerable.Range(first, t - first + 1).Select(s =>
            {
                double product = 0;
                for (var i = 0; i < size; i++) product += query[head * size + i] * keys[s][at * size + i];
                return Cap(product * attention.Scale, attention.ScoreSoftcap);
            }).ToArray();
            var weights = scores.Select(score => Math.Exp(score - scores.Max())).ToArray();
            for (var s = first; s <= t; s++)
                for (var i = 0; i < attention.ValueHeadSize; i++)
                    mixed[head * attention.ValueHeadSize + i] += weights[s - first] / weights.Sum() * values[s][at * attention.ValueHeadSize + i];
        }
        return mixed;
    }

    private void Prepare(double[] heads, int count, int position, AttentionSpec attention, TensorView? norm)
    {
        for (var head = 0; head < count; head++)
        {
            var values = heads.AsSpan(head * attention.HeadSize, attention.HeadSize);
            if (attention.QkNorm) Normalize(values.ToArray(), Read(norm!.Value)[0]).CopyTo(values);
            if (attention.Rope is { } rope) Rotate(values, rope, position);
        }
    }

    private void Rotate(Span<double> head, RopeSpec rope, int position)
    {
        var pairs = rope.Dimensions / 2;
        var frequencies = !rope.LongFrequencies.IsDefault && context > rope.LongContextThreshold ? rope.LongFrequencies : rope.Frequencies;
        for (var i = 0; i < pairs; i++)
        {
            var (a, b) = rope.Pairing == RopePairing.Adjacent ? (2 * i, 2 * i + 1) : (i, i + pairs);
            var (sine, cosine) = Math.SinCos(position * (double)frequencies[i]);
            (head[a], head[b]) = ((head[a] * cosine - head[b] * sine) * rope.Magnitude, (head[a] * sine + head[b] * cosine) * rope.Magnitude);
        }
    }

    private double[][] Project(double[][] inputs, TensorView weights, TensorView? bias)
    {
        var matrix = Read(weights);
        var outputs = inputs.Select(x => Multiply(matrix, x)).ToArray();
        if (bias is { } view)
            foreach (var output in outputs) Add(output, Read(view)[0]);
        return outputs;
    }

    private double[] Normalize(double[] x, double[] weight)
    {
        var root = Math.Sqrt(x.Sum(value => value * value) / x.Length + _spec.Norm.Epsilon);
        return [.. x.Select((value, i) => value / root * (weight[i] + _spec.Norm.WeightOffset))];
    }

    private static double[] Multiply(double[][] matrix, double[] x) => [.. matrix.Select(row =>
    {
        double sum = 0;
        for (var i = 0; i < x.Length; i++) sum += row[i] * x[i];
        return sum;
    })];

    private static void Add(double[] x, double[] y)
    {
        for (var i = 0; i < x.Length; i++) x[i] += y[i];
    }

    private static double Cap(double value, float? cap) => cap is { } c ? c * Math.Tanh(value / c) : value;

    private static double Activate(double x, Activation activation) => activation switch
    {
        Activation.Silu => x / (1 + Math.Exp(-x)),
        Activation.GeluTanh => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
        _ => throw new InvalidOperationException($"No fixture uses {activation}."),
    };

    private readonly Dictionary<TensorView, double[][]> _read = [];

    private double[][] Read(TensorView view)
    {
        if (_read.TryGetValue(view, out var values)) return values;
        return _read[view] = [.. Enumerable.Range(0, (int)view.Rows).Select(row => Decode(checkpoint.Bytes(view, row, 1), view.Type))];
    }

    private static double[] Decode(ReadOnlySpan<byte> bytes, TensorType type) => type switch
    {
        TensorType.F32 => [.. MemoryMarshal.Cast<byte, float>(bytes).ToArray().Select(value => (double)value)],
        TensorType.F16 => [.. MemoryMarshal.Cast<byte, Half>(bytes).ToArray().Select(value => (double)value)],
        TensorType.BF16 => [.. MemoryMarshal.Cast<byte, ushort>(bytes).ToArray().Select(value => (double)BitConverter.UInt32BitsToSingle((uint)value << 16))],
        _ => throw new InvalidOperationException($"The reference reads floats, not {type}."),
    };
}
