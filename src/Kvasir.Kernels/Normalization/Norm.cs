using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>RMS and layer normalization. Every worker calls them; rows are split evenly. A row's sums run in a fixed order.</summary>
public static unsafe class Norm
{
    /// <summary>output[t] = x[t] / √(mean(x[t]²) + epsilon) · weight. May be in place.</summary>
    /// <param name="worker">The calling worker.</param>
    /// <param name="x">[tokens, features].</param>
    /// <param name="weight">[features], or empty for ones.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    /// <param name="output">[tokens, features].</param>
    public static void Rms(Worker worker, FloatMatrix x, ReadOnlySpan<float> weight, float epsilon, FloatMatrix output)
    {
        Check(x, weight, output);
        var (first, count) = worker.Share(x.Rows);
        fixed (float* w = weight)
            for (var row = first; row < first + count; row++)
                RmsRow(x.RowStart(row), w, epsilon, output.RowStart(row), x.Columns);
    }

    /// <summary>residual[t] += delta[t], then output[t] = RMS norm of residual[t].</summary>
    public static void AddThenRms(Worker worker, FloatMatrix residual, FloatMatrix delta, ReadOnlySpan<float> weight, float epsilon, FloatMatrix output)
    {
        Check(residual, weight, output);
        delta.RequireShape(residual.Rows, residual.Columns, nameof(delta));
        var (first, count) = worker.Share(residual.Rows);
        fixed (float* w = weight)
            for (var row = first; row < first + count; row++)
            {
                var sum = residual.Row(row);
                var added = delta.Row(row);
                for (var i = 0; i < sum.Length; i++) sum[i] += added[i];
                RmsRow(residual.RowStart(row), w, epsilon, output.RowStart(row), residual.Columns);
            }
    }

    /// <summary>RMS norm of each head by itself, in place: x is [tokens, heads · headSize], weight [headSize].</summary>
    public static void RmsHeads(Worker worker, FloatMatrix x, int headSize, ReadOnlySpan<float> weight, float epsilon)
    {
        if (x.Columns % headSize != 0 || weight.Length != headSize)
            throw new ArgumentException($"Heads of {headSize} with a weight of {weight.Length} do not divide {x.Columns} columns.");
        var (first, count) = worker.Share(x.Rows);
        fixed (float* w = weight)
            for (var row = first; row < first + count; row++)
                for (var head = 0; head < x.Columns; head += headSize)
                    RmsRow(x.RowStart(row) + head, w, epsilon, x.RowStart(row) + head, headSize);
    }

    /// <summary>output[t] = (x[t] − mean) / √(variance + epsilon) · weight + bias (bias may be empty). May be in place.</summary>
    public static void Layer(Worker worker, FloatMatrix x, ReadOnlySpan<float> weight, ReadOnlySpan<float> bias, float epsilon, FloatMatrix output)
    {
        Check(x, weight, output);
        var (first, count) = worker.Share(x.Rows);
        for (var row = first; row < first + count; row++)
        {
            var from = x.Row(row);
            var to = output.Row(row);
            double sum = 0, squares = 0;
            foreach (var value in from) sum += value;
            var mean = (float)(sum / from.Length);
            foreach (var value in from) squares += (value - mean) * (double)(value - mean);
            var scale = (float)(1 / Math.Sqrt(squares / from.Length + epsilon));
            for (var i = 0; i < from.Length; i++)
                to[i] = (from[i] - mean) * scale * (weight.IsEmpty ? 1 : weight[i]) + (bias.IsEmpty ? 0 : bias[i]);
        }
    }

    private static void Check(FloatMatrix x, ReadOnlySpan<float> weight, FloatMatrix output)
    {
        output.RequireShape(x.Rows, x.Columns, nameof(output));
        if (!weight.IsEmpty && weight.Length != x.Columns)
            throw new ArgumentException($"A norm of {weight.Length} weights does not fit {x.Columns} columns.");
    }

    private static void RmsRow(float* x, float* weight, float epsilon, float* output, int count)
    {
        var (a, b) = (Vector256<float>.Zero, Vector256<float>.Zero);
        var i = 0;
        for (; i + 16 <= count; i += 16)
        {
            var (x0, x1) = (Vector256.Load(x + i), Vector256.Load(x + i + 8));
            a = Vector256.FusedMultiplyAdd(x0, x0, a);
            b = Vector256.FusedMultiplyAdd(x1, x1, b);
        }

        var squares = Vector256.Sum(a + b);
        for (; i < count; i++) squares += x[i] * x[i];
        var scale = 1 / MathF.Sqrt(squares / count + epsilon);
        if (weight is null)
        {
            for (i = 0; i < count; i++) output[i] = x[i] * scale;
            return;
        }

        var factor = Vector256.Create(scale);
        for (i = 0; i + 8 <= count; i += 8) (Vector256.Load(x + i) * factor * Vector256.Load(weight + i)).Store(output + i);
        for (; i < count; i++) output[i] = x[i] * scale * weight[i];
    }
}
