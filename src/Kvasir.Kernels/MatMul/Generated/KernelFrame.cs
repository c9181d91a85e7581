using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>
/// What all generated kernels share: calling convention, registers, addresses of the tokens' activations, the loop over
/// groups. Register plan: r15 arguments, r12 group, r13 groups left, r14 output, r10 steps left, rsi bytes between
/// tokens, rax/rcx/rdx/rbx tokens 0, 3, 6, 9 (each serves two more by adding rsi once or twice).
/// </summary>
internal abstract class KernelFrame(int tokens)
{
    public const int MaxTokens = 12;

    /// <summary>Up to this many tokens, memory is the limit and weights are prefetched.</summary>
    protected const int FewTokens = 8;

    // One line to the first-level cache soon, one to the second-level much earlier: either alone leaves a quarter of
    // the bandwidth unused (Zen 4), for a core's window holds too few loads between the dot products.
    private const int NearBytes = 2048, FarBytes = 6144;

    protected static readonly AssemblerRegisterZMM[] Z =
    [
        zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7, zmm8, zmm9, zmm10, zmm11, zmm12, zmm13, zmm14, zmm15,
        zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23, zmm24, zmm25, zmm26, zmm27, zmm28, zmm29, zmm30, zmm31,
    ];

    private static readonly AssemblerRegister64[] TokenBase = [rax, rcx, rdx, rbx];
    private static readonly AssemblerRegister64[] Saved = [rbx, rbp, rsi, rdi, r12, r13, r14, r15];

    protected Assembler Code { get; } = new(64);

    protected int Tokens { get; } = tokens;

    /// <summary>Assembles the kernel for an address that does not matter: all its jumps are relative.</summary>
    public byte[] Assemble()
    {
        Prologue();
        Constants();
        var group = Code.CreateLabel();
        Code.Label(ref group);
        Group();
        Code.add(r12, __qword_ptr[r15 + 8]);
        Code.add(r14, __qword_ptr[r15 + 80]);
        Code.dec(r13);
        Code.jne(group);
        Epilogue();
        using var stream = new MemoryStream();
        Code.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }

    /// <summary>Loads constant registers, once per call.</summary>
    protected abstract void Constants();

    /// <summary>Computes one group (or pair of groups) and stores it.</summary>
    protected abstract void Group();

    /// <summary>Address of a value of token <paramref name="token"/>, at <paramref name="offset"/> bytes from the current step.</summary>
    protected static AssemblerMemoryOperand Address(int token, int offset) => (token % 3) switch
    {
        0 => TokenBase[token / 3] + offset,
        1 => TokenBase[token / 3] + rsi + offset,
        _ => TokenBase[token / 3] + rsi * 2 + offset,
    };

    /// <summary>The 32 bits there, in every lane.</summary>
    protected static AssemblerMemoryOperand X(int token, int offset) => __dword_bcst[Address(token, offset)];

    /// <summary>Points the token registers at the first step.</summary>
    protected void RewindTokens()
    {
        Code.mov(rax, __qword_ptr[r15 + 24]);
        if (Tokens <= 3) return;
        Code.lea(r11, __[rsi + rsi * 2]);
        for (var i = 1; i < (Tokens + 2) / 3; i++) Code.lea(TokenBase[i], __[TokenBase[i - 1] + r11]);
    }

    protected void AdvanceTokens(int bytes)
    {
        for (var i = 0; i < (Tokens + 2) / 3; i++) Code.add(TokenBase[i], bytes);
    }

    /// <summary>Asks for the line at two distances after an address.</summary>
    protected void Prefetch(AssemblerMemoryOperand at)
    {
        Code.prefetcht0(__byte_ptr[at + NearBytes]);
        Code.prefetcht1(__byte_ptr[at + FarBytes]);
    }

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

    private void Prologue()
    {
        foreach (var register in Saved) Code.push(register);
        if (RuntimeInformation.IsOSPlatform(OSPlatform.Windows))
        {
            // Windows wants xmm6 … xmm15 back.
            Code.sub(rsp, 168);
            for (var i = 6; i < 16; i++) Code.vmovups(__xmmword_ptr[rsp + 16 * (i - 6)], Xmm(i));
            Code.mov(r15, rcx);
        }
        else
        {
            Code.mov(r15, rdi);
        }

        Code.mov(r12, __qword_ptr[r15]);
        Code.mov(r13, __qword_ptr[r15 + 64]);
        Code.mov(r14, __qword_ptr[r15 + 40]);
        Code.mov(rsi, __qword_ptr[r15 + 32]);
        Code.kmovw(k1, __word_ptr[r15 + 72]);
    }

    private void Epilogue()
    {
        if (RuntimeInformation.IsOSPlatform(OSPlatform.Windows))
        {
            for (var i = 6; i < 16; i++) Code.vmovups(Xmm(i), __xmmword_ptr[rsp + 16 * (i - 6)]);
            Code.add(rsp, 168);
        }

        for (var i = Saved.Length - 1; i >= 0; i--) Code.pop(Saved[i]);
        Code.vzeroupper();
        Code.ret();
    }

    private static AssemblerRegisterXMM Xmm(int index) =>
        new[] { xmm6, xmm7, xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14, xmm15 }[index - 6];
}
