using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>
/// Writes the kernel of keys without scales: scores of some rows and the 16 tokens of one, two or four blocks at once.
/// zmm0…23 sums (six or twelve per block), 24…27 keys, 28 and 29 queries, 30 a constant. r12 the list of blocks;
/// rdi, rbp, r8 and r9 their keys.
/// </summary>
internal sealed class KeyKernel512(KvFormat format, int rows, int blocks) : KvFrame512(format, rows, blocks)
{
    private static readonly AssemblerRegister64[] Block = [rdi, rbp, r8, r9];

    protected override void Group()
    {
        for (var b = 0; b < Width; b++) Code.mov(Block[b], __qword_ptr[r12 + 8 * b]);
        for (var b = 0; b < Width; b++)
            for (var t = 0; t < Tokens; t++) Code.vpxord(Sum(b, t), Sum(b, t), Sum(b, t));
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
        StoreAll();
    }

    private void Steps(int count)
    {
        for (var step = 0; step < count; step++)
        {
            for (var b = 0; b < Width; b++) Load(W(b), Block[b] + StepBytes * step);
            MultiplyAll(4 * step);
        }

        for (var b = 0; b < Width; b++) Code.add(Block[b], StepBytes * count);
        AdvanceTokens(4 * count);
    }
}
