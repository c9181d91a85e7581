using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>
/// Writes the kernel of keys without scales: scores of some rows and the 16 tokens of one, two or four blocks at once.
/// r12 the list of blocks; rdi, rbp, r8 and r9 their keys.
/// </summary>
internal sealed class KeyKernel256(KvFormat format, int rows, int blocks) : KvFrame256(format, rows, blocks)
{
    private static readonly AssemblerRegister64[] Block = [rdi, rbp, r8, r9];

    protected override void Group()
    {
        for (var b = 0; b < Width; b++) Code.mov(Block[b], __qword_ptr[r12 + 8 * b]);
        Clear();
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
        Move(0, store: true);
    }

    private void Steps(int count)
    {
        for (var step = 0; step < count; step++)
            for (var b = 0; b < Width; b++)
            {
                Load(Block[b] + StepBytes * step);
                Multiply(b, 4 * step);
            }

        for (var b = 0; b < Width; b++) Code.add(Block[b], StepBytes * count);
        AdvanceTokens(4 * count);
    }
}
