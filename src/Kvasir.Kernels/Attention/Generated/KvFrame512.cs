using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>What kernels of keys and of values share: sums of several groups of 16, and loading what needs no scale.</summary>
/// <param name="format">How they are stored.</param>
/// <param name="rows">Rows of queries or weights.</param>
/// <param name="width">Groups at once: 1, 2, or 4 of at most <see cref="MostRowsOfFour"/> rows.</param>
internal abstract class KvFrame512(KvFormat format, int rows, int width) : Frame512(rows)
{
    /// <summary>Most rows of four groups at once.</summary>
    public const int MostRowsOfFour = 6;

    protected const int Unroll = 4;
    private int _next;

    protected KvFormat Format => format;

    protected int Width => width;

    /// <summary>Bytes of 16 numbers.</summary>
    protected int StepBytes => 16 * KvLayout.ElementBytes(format);

    /// <summary>Bytes of a group of 16 tokens' 16 numbers.</summary>
    protected int GroupBytes => KvLayout.BlockTokens * StepBytes;

    protected static AssemblerRegisterZMM Levels => zmm30;

    private static AssemblerRegisterZMM SignAndMagnitude => zmm30;

    protected static AssemblerRegisterZMM W(int index) => Z[24 + index];

    protected AssemblerRegisterZMM Sum(int group, int row) => Z[First(group) + row];

    protected override void Constants()
    {
        if (format == KvFormat.FP8) Broadcast(SignAndMagnitude, 0xBFFF_BFFF);
        if (format != KvFormat.Q4_0) return;
        // −8 … 7 as bytes, then as floats.
        Code.mov(rax, 0xFFFE_FDFC_FBFA_F9F8);
        Code.vmovq(xmm0, rax);
        Code.mov(rax, 0x0706_0504_0302_0100);
        Code.vmovq(xmm1, rax);
        Code.vpunpcklqdq(xmm0, xmm0, xmm1);
        Code.vpmovsxbd(Levels, xmm0);
        Code.vcvtdq2ps(Levels, Levels);
    }

    /// <summary>Sixteen numbers as floats.</summary>
    protected void Load(AssemblerRegisterZMM to, AssemblerMemoryOperand at)
    {
        switch (format)
        {
            case KvFormat.F16:
                Code.vcvtph2ps(to, __ymmword_ptr[at]);
                break;
            case KvFormat.BF16:
                Code.vpmovzxwd(to, __ymmword_ptr[at]);
                Code.vpslld(to, to, 16);
                break;
            case KvFormat.FP8:
                // Shifted by seven, the bits are those of the F16 that is a 256th of the number.
                var half = Half(to);
                Code.evex.vpmovsxbw(half, __xmmword_ptr[at]);
                Code.evex.vpsllw(half, half, 7);
                Code.vpandd(half, half, Half(SignAndMagnitude));
                Code.vcvtph2ps(to, half);
                break;
            default:
                Code.vmovups(to, __zmmword_ptr[at]);
                break;
        }
    }

    /// <summary>All loaded groups times the numbers of all rows at an offset.</summary>
    protected void MultiplyAll(int offset)
    {
        for (var row = 0; row < Tokens; row++)
        {
            if (width == 1)
            {
                Code.vfmadd231ps(Sum(0, row), W(0), X(row, offset));
                continue;
            }

            // Groups share one broadcast; two registers take turns.
            var value = Z[28 + _next++ % 2];
            Code.vbroadcastss(value, __dword_ptr[Address(row, offset)]);
            for (var g = 0; g < width; g++) Code.vfmadd231ps(Sum(g, row), W(g), value);
        }
    }

    /// <summary>Takes all sums from the output.</summary>
    protected void FetchAll()
    {
        Code.mov(rax, r14);
        Code.mov(rcx, __qword_ptr[r15 + 48]);
        for (var row = 0; row < Tokens; row++)
        {
            for (var g = 0; g < width; g++) Code.vmovups(Sum(g, row), __zmmword_ptr[rax + 64 * g]);
            if (row + 1 < Tokens) Code.add(rax, rcx);
        }
    }

    /// <summary>Puts all sums into the output.</summary>
    protected void StoreAll()
    {
        Code.mov(rax, r14);
        Code.mov(rcx, __qword_ptr[r15 + 48]);
        for (var row = 0; row < Tokens; row++)
        {
            for (var g = 0; g < width; g++) Code.vmovups(__zmmword_ptr[rax + 64 * g], Sum(g, row));
            if (row + 1 < Tokens) Code.add(rax, rcx);
        }
    }

    private int First(int group) => group * (width == 4 ? MostRowsOfFour : MaxTokens);

    private static AssemblerRegisterYMM Half(AssemblerRegisterZMM register) =>
        new[] { ymm24, ymm25, ymm26, ymm27, ymm28, ymm29, ymm30, ymm31 }[Array.IndexOf(Z, register) - 24];
}
