using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>Kernels of 16 rows per register: a lane is a row, k1 the rows that exist.</summary>
internal abstract class Frame512(int tokens) : KernelFrame(tokens)
{
    public const int MaxTokens = 12;

    /// <summary>Up to this many tokens, memory is the limit and weights are prefetched.</summary>
    protected const int FewTokens = 8;

    protected static readonly AssemblerRegisterZMM[] Z =
    [
        zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7, zmm8, zmm9, zmm10, zmm11, zmm12, zmm13, zmm14, zmm15,
        zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23, zmm24, zmm25, zmm26, zmm27, zmm28, zmm29, zmm30, zmm31,
    ];

    protected override void Enter() => Code.kmovw(k1, __word_ptr[r15 + 72]);

    protected override void Leave()
    {
    }

    /// <summary>The 32 bits there, in every lane.</summary>
    protected static AssemblerMemoryOperand X(int token, int offset) => __dword_bcst[Address(token, offset)];

    protected void Broadcast(AssemblerRegisterZMM register, uint value)
    {
        Code.mov(eax, value);
        Code.vpbroadcastd(register, eax);
    }

    /// <summary>Stores one register per token, masked to the rows that exist. Leaves rax and rcx changed.</summary>
    protected void Store(AssemblerRegister64 output, int firstRegister)
    {
        Code.mov(rax, output);
        Code.mov(rcx, __qword_ptr[r15 + 48]);
        for (var t = 0; t < Tokens; t++)
        {
            Code.vmovups(__zmmword_ptr[rax].k1, Z[firstRegister + t]);
            if (t + 1 < Tokens) Code.add(rax, rcx);
        }
    }
}
