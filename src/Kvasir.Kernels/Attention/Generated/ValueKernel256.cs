using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>
/// Writes the kernel of values: adds the weighted values of all tokens of a list of blocks to <paramref name="groups"/>
/// groups of 16 values, as many at a time as <paramref name="width"/> says. r12 the first group's offset in a block's
/// floats or scales, r9 place in the list, rdi values, rbp scales, r11 place in the scales as floats, r8 turns left.
/// </summary>
internal sealed class ValueKernel256(KvFormat format, int rows, int groups, int width) : KvFrame256(format, rows, width)
{
    private bool IsQuantized => KvLayout.IsQuantized(Format);

    /// <summary>Bytes of a token's codes or floats, to the next one's.</summary>
    private int TokenBytes => Format switch { KvFormat.Q8_0 => 32, KvFormat.Q4_0 => 16, _ => StepBytes };

    protected override void Group()
    {
        for (var first = 0; first < groups; first += Width) Pass(first);
    }

    private void Pass(int first)
    {
        Move(first, store: false);
        RewindTokens();
        Code.mov(r9, __qword_ptr[r15 + 88]);
        Code.mov(r10, __qword_ptr[r15 + 56]);
        var (block, whole, turn, rest, end) = (Code.CreateLabel(), Code.CreateLabel(), Code.CreateLabel(), Code.CreateLabel(), Code.CreateLabel());
        Code.Label(ref block);
        Begin();
        Code.cmp(r10, KvLayout.BlockTokens);
        Code.jge(whole);
        Code.Label(ref rest);
        Steps(first, 1);
        Code.dec(r10);
        Code.jne(rest);
        Code.jmp(end);
        Code.Label(ref whole);
        Code.mov(r8d, KvLayout.BlockTokens / Unroll);
        Code.Label(ref turn);
        Steps(first, Unroll);
        Code.dec(r8);
        Code.jne(turn);
        Code.sub(r10, KvLayout.BlockTokens);
        Code.jne(block);
        Code.Label(ref end);
        Move(first, store: true);
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
        Code.lea(r11, __[rsp + 32 * Scales]);
        for (var half = 0; half < groups; half++)
        {
            Code.vcvtph2ps(ymm12, __xmmword_ptr[rbp + 16 * half]);
            Code.vmovaps(Place(Scales + half), ymm12);
        }
    }

    private void Steps(int first, int count)
    {
        for (var step = 0; step < count; step++)
            for (var g = 0; g < Width; g++)
            {
                var (unit, part) = ((first + g) / 2, (first + g) % 2);
                if (Format == KvFormat.Q8_0) LoadCodes(rdi + 512 * unit + 32 * step + 16 * part, part, r11 + 64 * unit + 4 * step);
                else if (Format == KvFormat.Q4_0) LoadCodes(rdi + 256 * unit + 16 * step, part, r11 + 64 * unit + 4 * step);
                else Load(rdi + GroupBytes * (first + g) + StepBytes * step);
                Multiply(g, 4 * step);
            }

        Code.add(rdi, TokenBytes * count);
        if (IsQuantized) Code.add(r11, 4 * count);
        AdvanceTokens(4 * count);
    }
}
