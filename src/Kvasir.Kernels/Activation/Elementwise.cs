using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>The nonlinearity of a feed-forward block.</summary>
public enum GateFunction
{
    /// <summary>x·σ(x).</summary>
    Silu,
    /// <summary>GELU, tanh form.</summary>
    GeluTanh,
    /// <summary>GELU, exact (erf).</summary>
    GeluErf,
}

/// <summary>Operations on single values. Every worker calls them; rows are split evenly; a barrier must follow before others read.</summary>
public static unsafe class Elementwise
{
    /// <summary>gate[t][i] = f(gate[t][i]) · up[t][i], in place. Both [tokens, features].</summary>
    public static void Gate(Worker worker, GateFunction function, FloatMatrix gate, FloatMatrix up)
    {
        up.RequireShape(gate.Rows, gate.Columns, nameof(up));
        switch (function)
        {
            case GateFunction.Silu: Apply<SiluTimes>(worker, gate, up); break;
            case GateFunction.GeluTanh: Apply<GeluTanhTimes>(worker, gate, up); break;
            default: Apply<GeluErfTimes>(worker, gate, up); break;
        }
    }

    /// <summary>x[t][i] += other[t][i].</summary>
    public static void Add(Worker worker, FloatMatrix x, FloatMatrix other)
    {
        other.RequireShape(x.Rows, x.Columns, nameof(other));
        Apply<Sum>(worker, x, other);
    }

    /// <summary>x[t][i] += bias[i].</summary>
    public static void AddBias(Worker worker, FloatMatrix x, ReadOnlySpan<float> bias)
    {
        if (bias.Length != x.Columns) throw new ArgumentException($"A bias of {bias.Length} does not fit {x.Columns} columns.");
        var (first, count) = worker.Share(x.Rows);
        fixed (float* from = bias)
            for (var row = first; row < first + count; row++)
                Row<Sum>(x.RowStart(row), from, x.Columns);
    }

    /// <summary>x[t][i] *= factor.</summary>
    public static void Scale(Worker worker, FloatMatrix x, float factor)
    {
        var (first, count) = worker.Share(x.Rows);
        for (var row = first; row < first + count; row++)
        {
            var values = x.RowStart(row);
            for (var i = 0; i < x.Columns; i++) values[i] *= factor;
        }
    }

    /// <summary>x[t][i] = cap · tanh(x[t][i] / cap), in place.</summary>
    public static void SoftCap(Worker worker, FloatMatrix x, float cap)
    {
        // Logits are few rows and many columns: columns are shared, in whole vectors.
        var (first, count) = worker.Share((x.Columns + 7) / 8);
        for (var row = 0; row < x.Rows; row++)
        {
            var values = x.RowStart(row);
            for (var i = first * 8; i < Math.Min((first + count) * 8, x.Columns); i += 8)
            {
                var n = Math.Min(8, x.Columns - i);
                StoreSome(VectorMath.Tanh(LoadSome(values + i, n) / Vector256.Create(cap)) * Vector256.Create(cap), values + i, n);
            }
        }
    }

    private static void Apply<TOperation>(Worker worker, FloatMatrix x, FloatMatrix other) where TOperation : struct, IBinary
    {
        if (x.Rows >= worker.Count)
        {
            var (first, count) = worker.Share(x.Rows);
            for (var row = first; row < first + count; row++) Row<TOperation>(x.RowStart(row), other.RowStart(row), x.Columns);
            return;
        }

        // Fewer rows than workers: share columns, in whole vectors.
        var (firstVector, vectors) = worker.Share((x.Columns + 7) / 8);
        var start = firstVector * 8;
        var length = Math.Min(vectors * 8, x.Columns - start);
        for (var row = 0; row < x.Rows; row++) Row<TOperation>(x.RowStart(row) + start, other.RowStart(row) + start, length);
    }

    private static void Row<TOperation>(float* x, float* other, int count) where TOperation : struct, IBinary
    {
        var i = 0;
        for (; i + 8 <= count; i += 8) TOperation.Invoke(Vector256.Load(x + i), Vector256.Load(other + i)).Store(x + i);
        if (i < count) StoreSome(TOperation.Invoke(LoadSome(x + i, count - i), LoadSome(other + i, count - i)), x + i, count - i);
    }

    internal static Vector256<float> LoadSome(float* at, int count)
    {
        if (count >= 8) return Vector256.Load(at);
        var lanes = stackalloc float[8];
        for (var i = 0; i < count; i++) lanes[i] = at[i];
        return Vector256.Load(lanes);
    }

    internal static void StoreSome(Vector256<float> value, float* at, int count)
    {
        for (var i = 0; i < Math.Min(count, 8); i++) at[i] = value[i];
    }

    private interface IBinary
    {
        static abstract Vector256<float> Invoke(Vector256<float> x, Vector256<float> y);
    }

    private readonly struct Sum : IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Invoke(Vector256<float> x, Vector256<float> y) => x + y;
    }

    private readonly struct SiluTimes : IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Invoke(Vector256<float> x, Vector256<float> y) => VectorMath.Silu(x) * y;
    }

    private readonly struct GeluTanhTimes : IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Invoke(Vector256<float> x, Vector256<float> y) => VectorMath.GeluTanh(x) * y;
    }

    private readonly struct GeluErfTimes : IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Invoke(Vector256<float> x, Vector256<float> y) => VectorMath.GeluErf(x) * y;
    }
}
