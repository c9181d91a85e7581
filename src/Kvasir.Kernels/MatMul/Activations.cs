using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>Forms in which kernels want the activations; a step's matrices are asked which (<see cref="WeightMatrix.Needs"/>) and their needs united.</summary>
[Flags]
public enum ActivationForms
{
    /// <summary>Nothing.</summary>
    None = 0,
    /// <summary>F32, for F32 and F16 weights (and BF16 without a BF16 unit).</summary>
    Float = 1,
    /// <summary>Rounded to BF16, for BF16 weights.</summary>
    BFloat16 = 2,
    /// <summary>Signed bytes per block of 32, for quantized weights.</summary>
    Quantized = 4,
}

/// <summary>
/// Activations of a step prepared once for all the matrices that multiply them, [tokens, columns]. Each token is
/// prepared by itself, so that its bits do not depend on its neighbours.
/// </summary>
/// <remarks>
/// The quantized form is a record of 48 bytes per 32 columns: 32 signed bytes, the F32 scale (largest magnitude / 127),
/// and the negated sums of all 32, of the first 16 and of the last 16 as int32. Rows are an odd number of cache lines
/// apart: with a power of two the tokens of a tile would all fall into the same cache set.
/// </remarks>
public sealed unsafe class Activations : IDisposable
{
    internal const int RecordBytes = 48;

    private readonly NativeBuffer _memory;
    private readonly int _maxTokens;
    private readonly int _maxColumns;
    private readonly long _floatStride;
    private readonly long _shortStride;
    private readonly long _recordStride;

    /// <summary>Reserves room for all forms of <paramref name="maxTokens"/> × <paramref name="maxColumns"/> values.</summary>
    public Activations(int maxTokens, int maxColumns)
    {
        (_maxTokens, _maxColumns) = (maxTokens, maxColumns);
        (_floatStride, _shortStride, _recordStride) = Strides(maxColumns);
        _memory = new NativeBuffer(Bytes(maxTokens, maxColumns));
    }

    /// <summary>Tokens prepared.</summary>
    public int Tokens { get; private set; }

    /// <summary>Columns prepared.</summary>
    public int Columns { get; private set; }

    /// <summary>Memory that an instance of these dimensions takes.</summary>
    public static long Bytes(int maxTokens, int maxColumns)
    {
        var (floats, shorts, records) = Strides(maxColumns);
        return (floats + shorts + records) * maxTokens;
    }

    /// <summary>
    /// Prepares <paramref name="x"/> in the forms asked for, tokens split among the team. Every worker calls it; a
    /// barrier must follow before the result is used, and precede if the old content may still be in use.
    /// </summary>
    public void Prepare(Worker worker, FloatMatrix x, ActivationForms forms)
    {
        if (x.Rows > _maxTokens || x.Columns > _maxColumns)
            throw new ArgumentException($"Activations [{x.Rows}, {x.Columns}] exceed the reserved [{_maxTokens}, {_maxColumns}].");
        if (worker.Index == 0) (Tokens, Columns) = (x.Rows, x.Columns);
        var (first, count) = worker.Share(x.Rows);
        for (var token = first; token < first + count; token++)
        {
            var row = x.RowStart(token);
            if ((forms & ActivationForms.Float) != 0)
            {
                new ReadOnlySpan<float>(row, x.Columns).CopyTo(new Span<float>(Float(token), x.Columns));
                if ((x.Columns & 1) != 0) Float(token)[x.Columns] = 0; // BF16 weights come in pairs of columns.
            }

            if ((forms & ActivationForms.BFloat16) != 0) Round(row, Short(token), x.Columns);
            if ((forms & ActivationForms.Quantized) != 0) Quantize(row, Record(token), x.Columns);
        }
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => _memory.Dispose();

    internal (IntPtr Start, long Stride) Form(ActivationForms form, int token) => form switch
    {
        ActivationForms.Float => ((nint)Float(token), _floatStride),
        ActivationForms.BFloat16 => ((nint)Short(token), _shortStride),
        _ => ((nint)Record(token), _recordStride),
    };

    private static (long Floats, long Shorts, long Records) Strides(int columns) =>
        (OddLines(columns * 4L), OddLines((columns + 1) / 2 * 4L), OddLines((columns + 31) / 32 * (long)RecordBytes));

    internal static long OddLines(long bytes) => ((bytes + 63) / 64 | 1) * 64;

    private float* Float(int token) => (float*)(_memory.All.Start + token * _floatStride);

    private ushort* Short(int token) => (ushort*)(_memory.All.Start + _maxTokens * _floatStride + token * _shortStride);

    private byte* Record(int token) => _memory.All.Start + _maxTokens * (_floatStride + _shortStride) + token * _recordStride;

    private static void Round(float* from, ushort* to, int columns)
    {
        for (var i = 0; i < columns; i++) to[i] = HalfFloat.ToBFloat16(from[i]);
        if ((columns & 1) != 0) to[columns] = 0;
    }

    /// <summary>Quantizes whole blocks of 32; quantized weights have no others.</summary>
    internal static void Quantize(float* from, byte* record, int columns)
    {
        for (var column = 0; column + 32 <= columns; column += 32, record += RecordBytes)
        {
            var a = Vector256.Load(from + column);
            var b = Vector256.Load(from + column + 8);
            var c = Vector256.Load(from + column + 16);
            var d = Vector256.Load(from + column + 24);
            var most = Vector256.Max(Vector256.Max(Vector256.Abs(a), Vector256.Abs(b)), Vector256.Max(Vector256.Abs(c), Vector256.Abs(d)));
            var largest = Largest(most);
            var inverse = largest > 1e-30f ? 127f / largest : 0f;
            var (qa, qb, qc, qd) = (Nearest(a, inverse), Nearest(b, inverse), Nearest(c, inverse), Nearest(d, inverse));
            Vector256.Narrow(Vector256.Narrow(qa, qb), Vector256.Narrow(qc, qd)).Store((sbyte*)record);
            var low = Vector256.Sum(qa + qb);
            var high = Vector256.Sum(qc + qd);
            *(float*)(record + 32) = largest / 127f;
            ((int*)record)[9] = -(low + high);
            ((int*)record)[10] = -low;
            ((int*)record)[11] = -high;
        }
    }

    private static float Largest(Vector256<float> v)
    {
        var four = Vector128.Max(v.GetLower(), v.GetUpper());
        return MathF.Max(MathF.Max(four[0], four[1]), MathF.Max(four[2], four[3]));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Nearest(Vector256<float> x, float inverse) =>
        Vector256.ConvertToInt32(Vector256.Round(x * inverse));
}
