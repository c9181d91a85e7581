using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>
/// Kernels of 8 rows per register, two registers (halves) for the 16 rows of a group. Sixteen registers do not hold it
/// all: constants, masks and some sums lie in the frame on the stack, at 32-byte places from rsp.
/// </summary>
internal abstract class Frame256(int tokens) : KernelFrame(tokens)
{
    /// <summary>Twelve sums leave four registers for weights, activation and scratch.</summary>
    public const int MaxTokens = 6;

    /// <summary>Up to this many tokens, memory is the limit and weights are prefetched.</summary>
    protected const int FewTokens = 4;

    private const int RowMaskPlace = 0, SavedStackPlace = 2;

    /// <summary>The first place in the frame that kernels may use.</summary>
    protected const int FirstPlace = 3;

    private const int FrameBytes = 32 * 48;

    protected static readonly AssemblerRegisterYMM[] Y =
        [ymm0, ymm1, ymm2, ymm3, ymm4, ymm5, ymm6, ymm7, ymm8, ymm9, ymm10, ymm11, ymm12, ymm13, ymm14, ymm15];

    /// <summary>A 32-byte place of the frame.</summary>
    protected static AssemblerMemoryOperand Place(int index) => __ymmword_ptr[rsp + 32 * index];

    protected override void Enter()
    {
        Code.mov(rax, rsp);
        Code.sub(rsp, FrameBytes);
        Code.and(rsp, -32);
        Code.mov(__qword_ptr[rsp + 32 * SavedStackPlace], rax);
        // Lane r of the masks is all ones where bit r of the argument is set.
        for (var lane = 0; lane < 8; lane++) Code.mov(__dword_ptr[rsp + 32 * FirstPlace + 4 * lane], 1 << lane);
        Code.vmovdqa(ymm1, Place(FirstPlace));
        for (var half = 0; half < 2; half++)
        {
            Code.vpbroadcastd(ymm0, __dword_ptr[r15 + 72]);
            if (half == 1) Code.vpsrld(ymm0, ymm0, 8);
            Code.vpand(ymm0, ymm0, ymm1);
            Code.vpcmpeqd(ymm0, ymm0, ymm1);
            Code.vmovdqa(Place(RowMaskPlace + half), ymm0);
        }
    }

    protected override void Leave() => Code.mov(rsp, __qword_ptr[rsp + 32 * SavedStackPlace]);

    /// <summary>Puts 32 bits into all lanes of a place. Leaves rax and ymm0 changed.</summary>
    protected void Constant(int place, uint value)
    {
        Code.mov(__dword_ptr[rsp + 32 * place], value);
        Code.vpbroadcastd(ymm0, __dword_ptr[rsp + 32 * place]);
        Code.vmovdqa(Place(place), ymm0);
    }

    /// <summary>
    /// Stores two halves per token, those of token t as <paramref name="half"/> says, masked to the rows that exist.
    /// Leaves rax, rcx and the last two registers changed.
    /// </summary>
    protected void Store(AssemblerRegister64 output, Func<int, int, AssemblerRegisterYMM> half)
    {
        var (masked, end) = (Code.CreateLabel(), Code.CreateLabel());
        Code.mov(rax, output);
        Code.mov(rcx, __qword_ptr[r15 + 48]);
        Code.cmp(__qword_ptr[r15 + 72], 0xFFFF);
        Code.jne(masked);
        for (var t = 0; t < Tokens; t++)
        {
            Code.vmovups(__ymmword_ptr[rax], half(t, 0));
            Code.vmovups(__ymmword_ptr[rax + 32], half(t, 1));
            if (t + 1 < Tokens) Code.add(rax, rcx);
        }

        Code.jmp(end);
        Code.Label(ref masked);
        Code.vmovdqa(ymm14, Place(RowMaskPlace));
        Code.vmovdqa(ymm15, Place(RowMaskPlace + 1));
        for (var t = 0; t < Tokens; t++)
        {
            Code.vmaskmovps(__ymmword_ptr[rax], ymm14, half(t, 0));
            Code.vmaskmovps(__ymmword_ptr[rax + 32], ymm15, half(t, 1));
            if (t + 1 < Tokens) Code.add(rax, rcx);
        }

        Code.Label(ref end);
        Code.nop();
    }
}
