using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>
/// Writes the kernel of a float form: one or two groups of 16 rows by some tokens, over all columns. F32 and F16 by
/// fused multiply-add, BF16 by vdpbf16ps on pairs of columns. zmm0…11 sums of the first group, 12…23 of the second,
/// 24 and 25 weights, 26…29 activations. rdi and rbp the groups' weights.
/// </summary>
internal sealed class FloatKernel512(WeightFormat format, int tokens, int groups, bool accumulate) : Frame512(tokens)
{
    private const int Unroll = 4;
    private int _next;

    private int StepBytes => format == WeightFormat.F16 ? 32 : 64;

    protected override void Constants()
    {
    }

    protected override void Group()
    {
        Code.mov(rdi, r12);
        if (groups == 2)
        {
            Code.mov(rbp, r12);
            Code.add(rbp, __qword_ptr[r15 + 8]);
        }

        Begin();
        RewindTokens();
        var (unrolled, single, end) = (Code.CreateLabel(), Code.CreateLabel(), Code.CreateLabel());
        Code.mov(r10, __qword_ptr[r15 + 56]);
        Code.sub(r10, Unroll);
        Code.jl(single);
        var loop = Code.CreateLabel();
        Code.Label(ref loop);
        Steps(Unroll);
        Code.sub(r10, Unroll);
        Code.jge(loop);
        Code.Label(ref single);
        Code.add(r10, Unroll);
        Code.je(end);
        Code.Label(ref unrolled);
        Steps(1);
        Code.dec(r10);
        Code.jne(unrolled);
        Code.Label(ref end);
        Finish();
    }

    private void Begin()
    {
        for (var g = 0; g < groups; g++)
        {
            if (accumulate)
            {
                // Only whole groups are accumulated, one at a time.
                Code.mov(rax, r14);
                Code.mov(rcx, __qword_ptr[r15 + 48]);
            }

            for (var t = 0; t < Tokens; t++)
            {
                var sum = Z[12 * g + t];
                if (!accumulate)
                {
                    Code.vpxord(sum, sum, sum);
                    continue;
                }

                Code.vmovups(sum, __zmmword_ptr[rax]);
                Code.add(rax, rcx);
            }
        }
    }

    private void Finish()
    {
        Store(r14, 0);
        if (groups == 1) return;
        Code.add(r14, __qword_ptr[r15 + 80]);
        Code.add(r12, __qword_ptr[r15 + 8]);
        Store(r14, 12);
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
        {
            Load(zmm24, rdi, step);
            if (groups == 2) Load(zmm25, rbp, step);
            for (var t = 0; t < Tokens; t++) Multiply(t, step);
        }

        Code.add(rdi, count * StepBytes);
        if (groups == 2) Code.add(rbp, count * StepBytes);
        AdvanceTokens(4 * count);
    }

    private void Load(AssemblerRegisterZMM to, AssemblerRegister64 from, int step)
    {
        if (format == WeightFormat.F16) Code.vcvtph2ps(to, __ymmword_ptr[from + StepBytes * step]);
        else Code.vmovups(to, __zmmword_ptr[from + StepBytes * step]);
    }

    private void Multiply(int token, int step)
    {
        if (groups == 1)
        {
            var x = X(token, 4 * step);
            if (format == WeightFormat.BF16) Code.vdpbf16ps(Z[token], zmm24, x);
            else Code.vfmadd231ps(Z[token], zmm24, x);
            return;
        }

        // Two groups share one broadcast; four registers take turns.
        var value = Z[26 + _next++ % 4];
        Code.vbroadcastss(value, __dword_ptr[Address(token, 4 * step)]);
        if (format == WeightFormat.BF16)
        {
            Code.vdpbf16ps(Z[token], zmm24, value);
            Code.vdpbf16ps(Z[12 + token], zmm25, value);
            return;
        }

        Code.vfmadd231ps(Z[token], zmm24, value);
        Code.vfmadd231ps(Z[12 + token], zmm25, value);
    }
}
