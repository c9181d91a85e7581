using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>
/// Writes the kernel of values: adds the weighted values of all tokens of a list of blocks, one, two or four groups of 16
/// values at once. r12 the first group's offset in a block's floats or scales, r9 place in the list, rdi values, rbp
/// scales, r11 place in the scales as floats, which lie on the stack, r8 turns left in the block.
/// </summary>
internal sealed class ValueKernel512(KvFormat format, int rows, int groups) : KvFrame512(format, rows, groups)
{
    private const int SavedStack = 128, FrameBytes = 192;

    private bool IsQuantized => KvLayout.IsQuantized(Format);

    /// <summary>Bytes of a token's codes or floats, to the next one's.</summary>
    private int TokenBytes => Format switch { KvFormat.Q8_0 => 32, KvFormat.Q4_0 => 16, _ => StepBytes };

    protected override void Enter()
    {
        base.Enter();
        if (!IsQuantized) return;
        Code.mov(rax, rsp);
        Code.sub(rsp, FrameBytes);
        Code.and(rsp, -64);
        Code.mov(__qword_ptr[rsp + SavedStack], rax);
    }

    protected override void Leave()
    {
        if (IsQuantized) Code.mov(rsp, __qword_ptr[rsp + SavedStack]);
    }

    protected override void Group()
    {
        FetchAll();
        RewindTokens();
        Code.mov(r9, __qword_ptr[r15 + 88]);
        Code.mov(r10, __qword_ptr[r15 + 56]);
        var (block, whole, turn, rest, end) = (Code.CreateLabel(), Code.CreateLabel(), Code.CreateLabel(), Code.CreateLabel(), Code.CreateLabel());
        Code.Label(ref block);
        Begin();
        Code.cmp(r10, KvLayout.BlockTokens);
        Code.jge(whole);
        Code.Label(ref rest);
        Steps(1);
        Code.dec(r10);
        Code.jne(rest);
        Code.jmp(end);
        Code.Label(ref whole);
        Code.mov(r8d, KvLayout.BlockTokens / Unroll);
        Code.Label(ref turn);
        Steps(Unroll);
        Code.dec(r8);
        Code.jne(turn);
        Code.sub(r10, KvLayout.BlockTokens);
        Code.jne(block);
        Code.Label(ref end);
        StoreAll();
    }

    /// <summary>Goes to the next block of the list.</summary>
    private void Begin()
    {
        Code.mov(rdi, __qword_ptr[r9]);
        Code.add(r9, 8);
        if (!IsQuantized)
        {
            Code.add(rdi, r12);
            return;
        }

        // Codes of a unit of 32 values take 16 or 8 times what its scales take.
        Code.lea(rbp, __[rdi + r12]);
        Code.add(rdi, __qword_ptr[r15 + 16]);
        Code.mov(r11, r12);
        Code.shl(r11, (byte)(Format == KvFormat.Q8_0 ? 4 : 3));
        Code.add(rdi, r11);
        Code.mov(r11, rsp);
        for (var unit = 0; unit < Width / 2; unit++)
        {
            Code.vcvtph2ps(W(0), __ymmword_ptr[rbp + 32 * unit]);
            Code.vmovaps(__zmmword_ptr[rsp + 64 * unit], W(0));
        }
    }

    private void Steps(int count)
    {
        for (var step = 0; step < count; step++)
        {
            if (IsQuantized)
                for (var unit = 0; unit < Width / 2; unit++) LoadUnit(unit, step);
            else
                for (var g = 0; g < Width; g++) Load(W(g), rdi + GroupBytes * g + StepBytes * step);
            MultiplyAll(4 * step);
        }

        Code.add(rdi, TokenBytes * count);
        if (IsQuantized) Code.add(r11, 4 * count);
        AdvanceTokens(4 * count);
    }

    private void LoadUnit(int unit, int step)
    {
        var (low, high) = (W(2 * unit), W(2 * unit + 1));
        if (Format == KvFormat.Q8_0)
        {
            var at = rdi + 512 * unit + 32 * step;
            Code.vpmovsxbd(low, __xmmword_ptr[at]);
            Code.vpmovsxbd(high, __xmmword_ptr[at + 16]);
            Code.vcvtdq2ps(low, low);
            Code.vcvtdq2ps(high, high);
        }
        else
        {
            Code.vpmovzxbd(low, __xmmword_ptr[rdi + 256 * unit + 16 * step]);
            Code.vpsrld(high, low, 4);
            // Four bits of each index count.
            Code.vpermps(low, low, Levels);
            Code.vpermps(high, high, Levels);
        }

        Code.vmulps(low, low, __dword_bcst[r11 + 64 * unit + 4 * step]);
        Code.vmulps(high, high, __dword_bcst[r11 + 64 * unit + 4 * step]);
    }
}
