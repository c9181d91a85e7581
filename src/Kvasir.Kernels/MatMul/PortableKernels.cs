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
                    for (var t = 0; t < tokens; t++, record += a->XStride) Block(form, tile, scales, record, sums + Rows * t);
                }

            for (var t = 0; t < tokens; t++) Store(a, g, t, sums + Rows * t);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Block(PackedForm form, sbyte* tile, float* scales, byte* record, float* sums)
    {
        var dots = stackalloc int[Rows];
        var vectors = form.VectorsPerScale;
        var x = Vector256.Create(*(float*)(record + 32));
        for (var part = 0; part < 8 / vectors; part++)
        {
            TDot.Dot(tile + 64 * vectors * part, (sbyte*)record + 4 * vectors * part, vectors, dots);
            var negatedSum = Vector256.Create((float)((int*)record)[vectors == 8 ? 9 : 10 + part]);
            for (var lane = 0; lane < Rows; lane += 8)
            {
                var value = Vector256.ConvertToSingle(Vector256.Load(dots + lane)) * Vector256.Load(scales + 2 * Rows * part + lane);
                if (form.HasMinimum)
                    value = Vector256.FusedMultiplyAdd(Vector256.Load(scales + 2 * Rows * part + Rows + lane), negatedSum, value);
                Vector256.FusedMultiplyAdd(value, x, Vector256.Load(sums + lane)).Store(sums + lane);
            }
        }
    }

    private static void Floats(PackedForm form, KernelArguments* a, int tokens, bool accumulate)
    {
        for (var g = 0L; g < a->Groups; g++)
            for (var t = 0; t < tokens; t += 4)
                FloatTile(form, a, g, t, Math.Min(4, tokens - t), accumulate);
    }

    private static void FloatTile(PackedForm form, KernelArguments* a, long g, int first, int tokens, bool accumulate)
    {
        var group = a->Group + g * a->GroupBytes;
        var sums = stackalloc float[Rows * 4];
        // A tile always computes four tokens: the missing ones repeat the last and are not stored.
        var x = stackalloc float*[4];
        for (var t = 0; t < 4; t++)
        {
            var token = first + Math.Min(t, tokens - 1);
            x[t] = (float*)(a->X + token * a->XStride);
            if (accumulate) Fetch(a, g, token, sums + Rows * t);
            else new Span<float>(sums + Rows * t, Rows).Clear();
        }

        for (var lane = 0; lane < Rows; lane += 8)
        {
            var (s0, s1, s2, s3) = (Vector256.Load(sums + lane), Vector256.Load(sums + Rows + lane),
                Vector256.Load(sums + 2 * Rows + lane), Vector256.Load(sums + 3 * Rows + lane));
            var columns = form.Format == WeightFormat.BF16 ? a->Steps * 2 : a->Steps;
            for (var k = 0L; k < columns; k++)
            {
                var w = Weights(form, group, k, lane);
                s0 = Vector256.FusedMultiplyAdd(w, Vector256.Create(x[0][k]), s0);
                s1 = Vector256.FusedMultiplyAdd(w, Vector256.Create(x[1][k]), s1);
                s2 = Vector256.FusedMultiplyAdd(w, Vector256.Create(x[2][k]), s2);
                s3 = Vector256.FusedMultiplyAdd(w, Vector256.Create(x[3][k]), s3);
            }

            s0.Store(sums + lane);
            s1.Store(sums + Rows + lane);
            s2.Store(sums + 2 * Rows + lane);
            s3.Store(sums + 3 * Rows + lane);
        }

        for (var t = 0; t < tokens; t++) Store(a, g, first + t, sums + Rows * t);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Weights(PackedForm form, byte* group, long k, int lane)
    {
        if (form.Format == WeightFormat.F32) return Vector256.Load((float*)group + k * Rows + lane);
        if (form.Format == WeightFormat.F16) return HalfFloat.Load((ushort*)group + k * Rows + lane);
        // BF16 lies in pairs of columns: the even one low, the odd one high in each 32-bit lane.
        var pair = Vector256.Load((uint*)group + k / 2 * Rows + lane);
        return ((k & 1) == 0 ? Vector256.ShiftLeft(pair, 16) : pair & Vector256.Create(0xFFFF0000u)).AsSingle();
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
