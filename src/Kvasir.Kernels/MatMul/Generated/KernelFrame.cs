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
    // One line to the first-level cache soon, one to the second-level much earlier: either alone leaves a quarter of
    // the bandwidth unused (Zen 4), for a core's window holds too few loads between the dot products.
    private const int NearBytes = 2048, FarBytes = 6144;

    private static readonly AssemblerRegister64[] TokenBase = [rax, rcx, rdx, rbx];
    private static readonly AssemblerRegister64[] Saved = [rbx, rbp, rsi, rdi, r12, r13, r14, r15];

    protected Assembler Code { get; } = new(64);

    protected int Tokens { get; } = tokens;

    /// <summary>Assembles the kernel for an address that does not matter: all its jumps are relative.</summary>
    public byte[] Assemble()
    {
        Prologue();
        Enter();
        Constants();
        var group = Code.CreateLabel();
        Code.Label(ref group);
        Group();
        Advance();
        Code.add(r14, __qword_ptr[r15 + 80]);
        Code.dec(r13);
        Code.jne(group);
        Leave();
        Epilogue();
        using var stream = new MemoryStream();
        Code.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }

    /// <summary>Sets up what every kernel of this width needs; rsp may move until <see cref="Leave"/>.</summary>
    protected abstract void Enter();

    /// <summary>Undoes <see cref="Enter"/>.</summary>
    protected abstract void Leave();

    /// <summary>Loads constants, once per call.</summary>
    protected abstract void Constants();

    /// <summary>Computes one group (or pair of groups) and stores it.</summary>
    protected abstract void Group();

    /// <summary>Points r12 at the next group.</summary>
    protected virtual void Advance() => Code.add(r12, __qword_ptr[r15 + 8]);

    /// <summary>Points r12 at the next group of a list (one entry after the last is read).</summary>
    protected void AdvanceInList()
    {
        Code.mov(rax, __qword_ptr[r15 + 88]);
        Code.add(rax, 8);
        Code.mov(__qword_ptr[r15 + 88], rax);
        Code.mov(r12, __qword_ptr[rax]);
    }

    /// <summary>Address of a value of token <paramref name="token"/>, at <paramref name="offset"/> bytes from the current step.</summary>
    protected static AssemblerMemoryOperand Address(int token, int offset) => (token % 3) switch
    {
        0 => TokenBase[token / 3] + offset,
        1 => TokenBase[token / 3] + rsi + offset,
        _ => TokenBase[token / 3] + rsi * 2 + offset,
    };

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
