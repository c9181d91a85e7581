using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>What a row's softmax does to a tile of scores, a multiple of 16. Wide or narrow vectors give the same bits: each lane is its own.</summary>
internal static unsafe class RowSoftmax
{
    /// <summary>The largest score.</summary>
    public static float Largest(float* scores, int count)
    {
        var (most, more) = (Vector256.Load(scores), Vector256.Load(scores + 8));
        for (var i = 16; i < count; i += 16)
        {
            most = Vector256.MaxNative(most, Vector256.Load(scores + i));
            more = Vector256.MaxNative(more, Vector256.Load(scores + i + 8));
        }

        most = Vector256.MaxNative(most, more);
        var largest = most[0];
        for (var i = 1; i < 8; i++) largest = MathF.Max(largest, most[i]);
        return largest;
    }

    /// <summary>Replaces each score by e^(score − origin), and adds those at j modulo 16 to sum j.</summary>
    public static void Exponentials(float* scores, int count, float origin, float* sums)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            var sum = Vector512.Load(sums);
            for (var i = 0; i < count; i += 16)
            {
                var value = VectorMath.Exp(Vector512.Load(scores + i) - Vector512.Create(origin));
                value.Store(scores + i);
                sum += value;
            }

            sum.Store(sums);
            return;
        }

        var (low, high) = (Vector256.Load(sums), Vector256.Load(sums + 8));
        for (var i = 0; i < count; i += 16)
        {
            var a = VectorMath.Exp(Vector256.Load(scores + i) - Vector256.Create(origin));
            var b = VectorMath.Exp(Vector256.Load(scores + i + 8) - Vector256.Create(origin));
            a.Store(scores + i);
            b.Store(scores + i + 8);
            (low, high) = (low + a, high + b);
        }

        low.Store(sums);
        high.Store(sums + 8);
    }
}
