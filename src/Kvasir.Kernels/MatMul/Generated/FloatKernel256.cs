using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>
/// Writes the kernel of a float form: one or two groups of 16 rows by some tokens, over all columns, by fused
/// multiply-add. ymm0…11 sums (the second group's after the first's), 12 and 13 weights, 14 activation, 15 mask of the
/// odd columns of BF16. rdi and rbp the groups' weights.
/// </summary>
internal sealed class FloatKernel256(WeightFormat format, int tokens, int groups, bool accumulate) : Frame256(tokens)
{
    private const int Unroll = 4;

    /// <summary>Most tokens of two groups at once.</summary>
    public const int MostTokensOfPairs = MaxTokens / 2;

    private int StepBytes => format == WeightFormat.F16 ? 32 : 64;

    protected override void Constants()
    {
    }

    protected override void Group()
    {
        if (format == WeightFormat.BF16)
        {
            Code.vpcmpeqd(ymm15, ymm15, ymm15);
            Code.vpslld(ymm15, ymm15, 16);
        }

        Code.mov(rdi, r12);
        if (groups == 2)
        {
            Code.mov(rbp, r12);
            Code.add(rbp, __qword_ptr[r15 + 8]);
        }

        Begin();
        RewindTokens();
        var (loop, single, rest, end) = (Code.CreateLabel(), Code.CreateLabel(), Code.CreateLabel(), Code.CreateLabel());
        Code.mov(r10, __qword_ptr[r15 + 56]);
        Code.sub(r10, Unroll);
        Code.jl(single);
        Code.Label(ref loop);
        Steps(Unroll);
        Code.sub(r10, Unroll);
        Code.jge(loop);
        Code.Label(ref single);
        Code.add(r10, Unroll);
        Code.je(end);
        Code.Label(ref rest);
        Steps(1);
        Code.dec(r10);
        Code.jne(rest);
        Code.Label(ref end);
        Store(r14, (token, half) => Sum(0, token, half));
        if (groups == 1) return;
        Code.add(r14, __qword_ptr[r15 + 80]);
        Code.add(r12, __qword_ptr[r15 + 8]);
        Store(r14, (token, half) => Sum(1, token, half));
    }

    private AssemblerRegisterYMM Sum(int group, int token, int half) => Y[2 * Tokens * group + 2 * token + half];

    private void Begin()
    {
        if (!accumulate)
        {
            for (var i = 0; i < 2 * Tokens * groups; i++) Code.vpxor(Y[i], Y[i], Y[i]);
            return;
        }

        // Only whole groups are accumulated, one at a time.
        Code.mov(rax, r14);
        Code.mov(rcx, __qword_ptr[r15 + 48]);
        for (var t = 0; t < Tokens; t++)
        {
            Code.vmovups(Sum(0, t, 0), __ymmword_ptr[rax]);
            Code.vmovups(Sum(0, t, 1), __ymmword_ptr[rax + 32]);
            Code.add(rax, rcx);
        }
    }

    private void Steps(int count)
    {
        if (count > 1 && Tokens <= FewTokens)
            for (var line = 0; line < count * StepBytes; line += 64)
            {
                Prefetch(rdi + line);
                if (groups == 2) Prefetch(rbp + line);
            }

        for (var step = 0; step < count; step++)
            for (var group = 0; group < groups; group++)
                for (var column = 0; column < (format == WeightFormat.BF16 ? 2 : 1); column++)
                {
                    Load(group == 0 ? rdi : rbp, step, column);
                    for (var t = 0; t < Tokens; t++) Multiply(group, t, format == WeightFormat.BF16 ? 8 * step + 4 * column : 4 * step);
                }

        Code.add(rdi, count * StepBytes);
        if (groups == 2) Code.add(rbp, count * StepBytes);
        AdvanceTokens((format == WeightFormat.BF16 ? 8 : 4) * count);
    }

    /// <summary>Sixteen rows of a column; BF16 comes in pairs of columns, the even one low in each lane.</summary>
    private void Load(AssemblerRegister64 from, int step, int column)
    {
        for (var half = 0; half < 2; half++)
        {
            var (to, at) = (Y[12 + half], from + StepBytes * step + StepBytes / 2 * half);
            switch (format)
            {
                case WeightFormat.F16:
                    Code.vcvtph2ps(to, __xmmword_ptr[at]);
                    break;
                case WeightFormat.BF16 when column == 0:
                    Code.vmovdqu(to, __ymmword_ptr[at]);
                    Code.vpslld(to, to, 16);
                    break;
                case WeightFormat.BF16:
                    Code.vpand(to, ymm15, __ymmword_ptr[at]);
                    break;
                default:
                    Code.vmovups(to, __ymmword_ptr[at]);
                    break;
            }
        }
    }

    private void Multiply(int group, int token, int offset)
    {
        Code.vbroadcastss(ymm14, __dword_ptr[Address(token, offset)]);
        Code.vfmadd231ps(Sum(group, token, 0), ymm12, ymm14);
        Code.vfmadd231ps(Sum(group, token, 1), ymm13, ymm14);
    }
}
