using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>
/// What kernels of keys and of values share in 256 bits: some groups of 16 in two halves. ymm0…11 sums, 12 and 13 a
/// group's numbers, 14 and 15 scratch; constants lie in the frame.
/// </summary>
/// <param name="format">How they are stored.</param>
/// <param name="rows">Rows of queries or weights.</param>
/// <param name="width">Groups at once, so that rows · groups are at most six.</param>
internal abstract class KvFrame256(KvFormat format, int rows, int width) : Frame256(rows)
{
    protected const int Unroll = 4;
    private const int First = FirstPlace, Second = FirstPlace + 1;

    /// <summary>Places for the scales of two units of 32 values, as floats.</summary>
    protected const int Scales = FirstPlace + 2;

    protected KvFormat Format => format;

    protected int Width => width;

    /// <summary>Bytes of 16 numbers.</summary>
    protected int StepBytes => 16 * KvLayout.ElementBytes(format);

    /// <summary>Bytes of a group of 16 tokens' 16 numbers.</summary>
    protected int GroupBytes => KvLayout.BlockTokens * StepBytes;

    protected AssemblerRegisterYMM Sum(int group, int row, int half) => Y[2 * (Tokens * group + row) + half];

    protected override void Constants()
    {
        if (format == KvFormat.FP8) Constant(First, 0xBFFF_BFFF);
        if (format != KvFormat.Q4_0) return;
        Constant(First, 15);
        Constant(Second, unchecked((uint)-8));
    }

    /// <summary>Sixteen numbers as floats.</summary>
    protected void Load(AssemblerMemoryOperand at)
    {
        for (var half = 0; half < 2; half++)
        {
            var to = Y[12 + half];
            var part = at + StepBytes / 2 * half;
            switch (format)
            {
                case KvFormat.F16:
                    Code.vcvtph2ps(to, __xmmword_ptr[part]);
                    break;
                case KvFormat.BF16:
                    Code.vpmovzxwd(to, __xmmword_ptr[part]);
                    Code.vpslld(to, to, 16);
                    break;
                case KvFormat.FP8:
                    // Shifted by seven, the bits are those of the F16 that is a 256th of the number.
                    Code.vpmovsxbw(xmm15, __qword_ptr[part]);
                    Code.vpsllw(xmm15, xmm15, 7);
                    Code.vpand(xmm15, xmm15, __xmmword_ptr[rsp + 32 * First]);
                    Code.vcvtph2ps(to, xmm15);
                    break;
                default:
                    Code.vmovups(to, __ymmword_ptr[part]);
                    break;
            }
        }
    }

    /// <summary>Sixteen numbers of a token from codes, times their scale.</summary>
    protected void LoadCodes(AssemblerMemoryOperand at, int nibble, AssemblerMemoryOperand scale)
    {
        Code.vbroadcastss(ymm15, __dword_ptr[scale]);
        for (var half = 0; half < 2; half++)
        {
            var to = Y[12 + half];
            if (format == KvFormat.Q8_0)
            {
                Code.vpmovsxbd(to, __qword_ptr[at + 8 * half]);
            }
            else
            {
                Code.vpmovzxbd(to, __qword_ptr[at + 8 * half]);
                if (nibble == 1) Code.vpsrld(to, to, 4);
                else Code.vpand(to, to, Place(First));
                Code.vpaddd(to, to, Place(Second));
            }

            Code.vcvtdq2ps(to, to);
            Code.vmulps(to, to, ymm15);
        }
    }

    /// <summary>A group's numbers times those of all rows at an offset.</summary>
    protected void Multiply(int group, int offset)
    {
        for (var row = 0; row < Tokens; row++)
        {
            Code.vbroadcastss(ymm14, __dword_ptr[Address(row, offset)]);
            Code.vfmadd231ps(Sum(group, row, 0), ymm12, ymm14);
            Code.vfmadd231ps(Sum(group, row, 1), ymm13, ymm14);
        }
    }

    /// <summary>Clears all sums.</summary>
    protected void Clear()
    {
        for (var i = 0; i < 2 * Tokens * width; i++) Code.vpxor(Y[i], Y[i], Y[i]);
    }

    /// <summary>Takes sums from the output, or puts them there.</summary>
    protected void Move(int firstGroup, bool store)
    {
        Code.mov(rax, r14);
        Code.mov(rcx, __qword_ptr[r15 + 48]);
        for (var row = 0; row < Tokens; row++)
        {
            for (var g = 0; g < width; g++)
                for (var half = 0; half < 2; half++)
                {
                    var place = __ymmword_ptr[rax + 64 * (firstGroup + g) + 32 * half];
                    if (store) Code.vmovups(place, Sum(g, row, half));
                    else Code.vmovups(Sum(g, row, half), place);
                }

            if (row + 1 < Tokens) Code.add(rax, rcx);
        }
    }
}
