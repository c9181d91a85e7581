using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>The integer dot products of one instruction set.</summary>
internal unsafe interface IBlockDot
{
    /// <summary>Name of the strategy.</summary>
    static abstract string Name { get; }

    /// <summary>
    /// Dot products of 16 rows with one token: <c>sums[r] = Σ_v Σ_i tile[v][r][i] · x[4 v + i]</c> over
    /// <paramref name="vectors"/> vectors of 4 columns.
    /// </summary>
    static abstract void Dot(sbyte* tile, sbyte* x, int vectors, int* sums);
}

/// <summary>
/// Matrix products in C#: the codes of a block are unpacked once into signed bytes, then multiplied with each token by
/// <typeparamref name="TDot"/>. Floats are fused multiply-adds, as in every strategy.
/// </summary>
internal sealed unsafe class PortableKernels<TDot> : MatrixKernels where TDot : struct, IBlockDot
{
    private const int Rows = PackedForm.GroupRows;

    /// <summary>Columns widened to F32 at a time: 8 KiB, which stay in the first-level cache.</summary>
    private const int ChunkColumns = 128;

    public override string Name => TDot.Name;

    public override int MaxTokens => 16;

    public override void Multiply(PackedForm form, KernelArguments* arguments, int tokens)
    {
        if (form.IsFloat) Floats(form, arguments, tokens, accumulate: false);
        else Quantized(form, arguments, tokens);
    }

    public override void MultiplyAdd(PackedForm form, KernelArguments* arguments, int tokens) =>
        Floats(form, arguments, tokens, accumulate: true);

    private static void Quantized(PackedForm form, KernelArguments* a, int tokens)
    {
        var tile = stackalloc sbyte[8 * 64];
        var scales = stackalloc float[Rows * 32];
        var sums = stackalloc float[Rows * 16];
        var blocksPerUnit = form.UnitColumns / PackedForm.Block;
        var halves = form.VectorsPerScale == 4;
        var hasMinimum = form.HasMinimum;
        for (var g = 0L; g < a->Groups; g++)
        {
            new Span<float>(sums, Rows * tokens).Clear();
            var group = a->Group + g * a->GroupBytes;
            var codes = group + a->ScaleBytes;
            for (var unit = 0L; unit < a->Steps; unit++)
                for (var b = 0; b < blocksPerUnit; b++, codes += form.BlockCodeBytes)
                {
                    CodeTile.Unpack(form, codes, tile);
                    CodeTile.Scales(form, group + unit * form.UnitScaleBytes, b, scales);
                    var record = a->X + (unit * blocksPerUnit + b) * Activations.RecordBytes;
                    if (halves) Halves(hasMinimum, tile, scales, record, a->XStride, tokens, sums);
                    else Whole(hasMinimum, tile, scales, record, a->XStride, tokens, sums);
                }

            for (var t = 0; t < tokens; t++) Store(a, g, t, sums + Rows * t);
        }
    }

    private static void Whole(bool hasMinimum, sbyte* tile, float* scales, byte* record, long xStride, int tokens, float* sums)
    {
        var dots = stackalloc int[Rows];
        for (var t = 0; t < tokens; t++, record += xStride, sums += Rows)
        {
            TDot.Dot(tile, (sbyte*)record, 8, dots);
            AddScaled(hasMinimum, dots, scales, *(float*)(record + 32), ((int*)record)[9], sums);
        }
    }

    private static void Halves(bool hasMinimum, sbyte* tile, float* scales, byte* record, long xStride, int tokens, float* sums)
    {
        var dots = stackalloc int[Rows];
        for (var t = 0; t < tokens; t++, record += xStride, sums += Rows)
        {
            TDot.Dot(tile, (sbyte*)record, 4, dots);
            AddScaled(hasMinimum, dots, scales, *(float*)(record + 32), ((int*)record)[10], sums);
            TDot.Dot(tile + 256, (sbyte*)record + 16, 4, dots);
            AddScaled(hasMinimum, dots, scales + 2 * Rows, *(float*)(record + 32), ((int*)record)[11], sums);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddScaled(bool hasMinimum, int* dots, float* scales, float xScale, int negatedSum, float* sums)
    {
        var low = Vector256.ConvertToSingle(Vector256.Load(dots)) * Vector256.Load(scales);
        var high = Vector256.ConvertToSingle(Vector256.Load(dots + 8)) * Vector256.Load(scales + 8);
        if (hasMinimum)
        {
            var sum = Vector256.Create((float)negatedSum);
            low = Vector256.FusedMultiplyAdd(Vector256.Load(scales + Rows), sum, low);
            high = Vector256.FusedMultiplyAdd(Vector256.Load(scales + Rows + 8), sum, high);
        }

        var x = Vector256.Create(xScale);
        Vector256.FusedMultiplyAdd(low, x, Vector256.Load(sums)).Store(sums);
        Vector256.FusedMultiplyAdd(high, x, Vector256.Load(sums + 8)).Store(sums + 8);
    }

    private static void Floats(PackedForm form, KernelArguments* a, int tokens, bool accumulate)
    {
        var sums = stackalloc float[Rows * 16];
        var weights = stackalloc float[Rows * ChunkColumns];
        var columns = form.Format == WeightFormat.BF16 ? a->Steps * 2 : a->Steps;
        for (var g = 0L; g < a->Groups; g++)
        {
            var group = a->Group + g * a->GroupBytes;
            for (var t = 0; t < tokens; t++)
                if (accumulate) Fetch(a, g, t, sums + Rows * t);
                else new Span<float>(sums + Rows * t, Rows).Clear();
            // Weights are widened once for all tokens; the sums go on where the last chunk left them.
            for (var first = 0L; first < columns; first += ChunkColumns)
            {
                var count = (int)Math.Min(ChunkColumns, columns - first);
                var chunk = form.Format == WeightFormat.F32 ? (float*)group + first * Rows : weights;
                if (form.Format == WeightFormat.F16) WidenHalf((ushort*)group + first * Rows, count, weights);
                if (form.Format == WeightFormat.BF16) WidenPairs((uint*)group + first / 2 * Rows, count, weights);
                for (var t = 0; t < tokens; t += 2)
                    AddProducts(chunk, count, (float*)(a->X + t * a->XStride) + first,
                        (float*)(a->X + Math.Min(t + 1, tokens - 1) * a->XStride) + first, sums + Rows * t, t + 1 < tokens);
            }

            for (var t = 0; t < tokens; t++) Store(a, g, t, sums + Rows * t);
        }
    }

    private static void AddProducts(float* weights, int columns, float* x, float* y, float* sums, bool both)
    {
        var (x0, x1) = (Vector256.Load(sums), Vector256.Load(sums + 8));
        var (y0, y1) = both ? (Vector256.Load(sums + Rows), Vector256.Load(sums + Rows + 8)) : (x0, x1);
        for (var k = 0; k < columns; k++, weights += Rows)
        {
            var (low, high) = (Vector256.Load(weights), Vector256.Load(weights + 8));
            var (vx, vy) = (Vector256.Create(x[k]), Vector256.Create(y[k]));
            x0 = Vector256.FusedMultiplyAdd(low, vx, x0);
            x1 = Vector256.FusedMultiplyAdd(high, vx, x1);
            y0 = Vector256.FusedMultiplyAdd(low, vy, y0);
            y1 = Vector256.FusedMultiplyAdd(high, vy, y1);
        }

        x0.Store(sums);
        x1.Store(sums + 8);
        if (!both) return;
        y0.Store(sums + Rows);
        y1.Store(sums + Rows + 8);
    }

    private static void WidenHalf(ushort* from, int columns, float* to)
    {
        for (var i = 0; i < columns * Rows; i += 8) HalfFloat.Load(from + i).Store(to + i);
    }

    /// <summary>BF16 lies in pairs of columns: the even one low, the odd one high in each 32-bit lane.</summary>
    private static void WidenPairs(uint* from, int columns, float* to)
    {
        for (var k = 0; k < columns; k += 2, from += Rows, to += 2 * Rows)
            for (var lane = 0; lane < Rows; lane += 8)
            {
                var pair = Vector256.Load(from + lane);
                Vector256.ShiftLeft(pair, 16).AsSingle().Store(to + lane);
                (pair & Vector256.Create(0xFFFF0000u)).AsSingle().Store(to + Rows + lane);
            }
    }

    private static void Fetch(KernelArguments* a, long g, int token, float* sums)
    {
        var from = (float*)((byte*)a->Output + token * a->OutputStride + g * a->OutputGroupStride);
        for (var r = 0; r < Rows; r++) sums[r] = (a->Mask >> r & 1) != 0 ? from[r] : 0;
    }

    private static void Store(KernelArguments* a, long g, int token, float* sums)
    {
        var to = (float*)((byte*)a->Output + token * a->OutputStride + g * a->OutputGroupStride);
        for (var r = 0; r < Rows; r++)
            if ((a->Mask >> r & 1) != 0) to[r] = sums[r];
    }
}
