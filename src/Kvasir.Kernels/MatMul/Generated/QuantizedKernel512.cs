using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>
/// Writes the kernel of a quantized form: 16 rows (lanes) by some tokens, over all columns, with vpdpbusd.
/// zmm0…11 float sums, zmm12…23 integer sums of the block, 24 codes, 25 and 29 scratch, 26 mask of low bits, 27 scale,
/// 28 minimum, 30 mask of high bits or one half, 31 levels or the mask of six-bit scales. rdi codes, r8 unit's scales,
/// r9 and rbp places in them, r11 blocks left in the unit.
/// </summary>
internal sealed class QuantizedKernel512(PackedForm form, int tokens, bool listed = false) : Frame512(tokens)
{
    private const int Sum = 12;

    private static AssemblerRegisterZMM Codes => zmm24;
    private static AssemblerRegisterZMM Scratch => zmm25;
    private static AssemblerRegisterZMM LowMask => zmm26;
    private static AssemblerRegisterZMM Scale => zmm27;
    private static AssemblerRegisterZMM Minimum => zmm28;
    private static AssemblerRegisterZMM Other => zmm29;
    private static AssemblerRegisterZMM HighMask => zmm30;
    private static AssemblerRegisterZMM Extra => zmm31;

    protected override void Constants()
    {
        if (form.LowBits < 8) Broadcast(LowMask, form.LowBits == 4 ? 0x0F0F0F0Fu : 0x03030303u);
        if (form.Scales == ScaleKind.Nibble16) Broadcast(Extra, 15);
        if (form.Scales == ScaleKind.SixBit) Broadcast(Extra, 0x30);
        if (form.Scales == ScaleKind.Exponent) Broadcast(HighMask, BitConverter.SingleToUInt32Bits(0.5f));
        if (form.HighBits != 0) Broadcast(HighMask, (form.HighBits == 1 ? 0x01010101u : 0x03030303u) << form.LowBits);
        if (!form.HasLevels) return;
        Code.mov(rax, BitConverter.ToUInt64(form.Levels));
        Code.vmovq(xmm0, rax); // Sums are cleared later.
        Code.mov(rax, BitConverter.ToUInt64(form.Levels[8..]));
        Code.vmovq(xmm1, rax);
        Code.vpunpcklqdq(xmm0, xmm0, xmm1);
        Code.vshufi32x4(Extra, zmm0, zmm0, 0);
    }

    protected override void Group()
    {
        Code.mov(r8, r12);
        Code.mov(rdi, r12);
        Code.add(rdi, __qword_ptr[r15 + 16]);
        Code.mov(r10, __qword_ptr[r15 + 56]);
        RewindTokens();
        for (var t = 0; t < Tokens; t++) Code.vpxord(Z[t], Z[t], Z[t]);
        var unit = Code.CreateLabel();
        Code.Label(ref unit);
        Unit();
        Code.add(r8, form.UnitScaleBytes);
        Code.dec(r10);
        Code.jne(unit);
        Store(r14, 0);
    }

    /// <summary>Keys lie in blocks here and there.</summary>
    protected override void Advance()
    {
        if (listed) AdvanceInList();
        else base.Advance();
    }

    private void Unit()
    {
        if (form.UnitColumns == PackedForm.Block)
        {
            Block(0);
            return;
        }

        // Six-bit scales come for two blocks at a time; the others' blocks are alike.
        var perTurn = form.Scales == ScaleKind.SixBit ? 2 : 1;
        Code.mov(r9, r8);
        if (perTurn == 2) Code.mov(rbp, r8);
        Code.mov(r11, 8 / perTurn);
        var turn = Code.CreateLabel();
        Code.Label(ref turn);
        for (var block = 0; block < perTurn; block++) Block(block);
        Code.add(r9, form.Scales == ScaleKind.Byte32 ? 16 : 32);
        if (perTurn == 2) Code.add(rbp, 16);
        Code.dec(r11);
        Code.jne(turn);
    }

    private void Block(int place)
    {
        var vectors = form.VectorsPerScale;
        if (Tokens <= FewTokens)
            for (var line = 0; line < form.BlockCodeBytes; line += 64) Prefetch(rdi + line);
        for (var part = 0; part < 8 / vectors; part++)
        {
            var negatedSum = vectors == 8 ? 36 : 40 + 4 * part;
            for (var t = 0; t < Tokens; t++)
                if (form.OffsetShift >= 0) Code.vpslld(Z[Sum + t], X(t, negatedSum), (byte)form.OffsetShift);
                else Code.vpxord(Z[Sum + t], Z[Sum + t], Z[Sum + t]);
            for (var i = 0; i < vectors; i++)
            {
                // Vectors that share a byte follow each other.
                var j = vectors == 8 && form.LowBits == 4 ? i / 2 + i % 2 * 4 : part * vectors + i;
                LoadCodes(j);
                for (var t = 0; t < Tokens; t++) Code.vpdpbusd(Z[Sum + t], Codes, X(t, 4 * j));
            }

            LoadScales(place, part);
            for (var t = 0; t < Tokens; t++)
            {
                var value = Z[Sum + t];
                Code.vcvtdq2ps(value, value);
                Code.vmulps(value, value, Scale);
                if (form.HasMinimum)
                {
                    Code.vcvtdq2ps(Other, X(t, negatedSum));
                    Code.vfmadd231ps(value, Minimum, Other);
                }

                Code.vfmadd231ps(Z[t], value, X(t, 32));
            }
        }

        Code.add(rdi, form.BlockCodeBytes);
        AdvanceTokens(Activations.RecordBytes);
    }

    private void LoadCodes(int j)
    {
        if (form.LowBits == 8)
        {
            Code.vmovdqu64(Codes, __zmmword_ptr[rdi + 64 * j]);
            return;
        }

        var (line, shift) = form.LowBits == 4 ? (j & 3, j >> 2 << 2) : (j >> 2, 2 * (j & 3));
        if (shift == 0)
        {
            Code.vpandd(Codes, LowMask, __zmmword_ptr[rdi + 64 * line]);
        }
        else
        {
            Code.vpsrld(Codes, __zmmword_ptr[rdi + 64 * line], (byte)shift);
            Code.vpandd(Codes, Codes, LowMask);
        }

        if (form.HighBits != 0) AddHighBits(j);
        if (form.HasLevels) Code.vpshufb(Codes, Extra, Codes);
    }

    private void AddHighBits(int j)
    {
        var (line, bit) = form.HighBits == 1 ? (0, j) : (j >> 2, 2 * (j & 3));
        var plane = __zmmword_ptr[rdi + 64 * (form.LowBits + line)];
        if (bit < form.LowBits) Code.vpslld(Scratch, plane, (byte)(form.LowBits - bit));
        else if (bit > form.LowBits) Code.vpsrld(Scratch, plane, (byte)(bit - form.LowBits));
        else Code.vmovdqu64(Scratch, plane);
        Code.vpternlogd(Codes, Scratch, HighMask, 0xF8); // a | b & c
    }

    private void LoadScales(int place, int part)
    {
        switch (form.Scales)
        {
            case ScaleKind.Half:
                Code.vcvtph2ps(Scale, __ymmword_ptr[r8]);
                return;
            case ScaleKind.HalfMin:
                Code.vcvtph2ps(Scale, __ymmword_ptr[r8]);
                Code.vcvtph2ps(Minimum, __ymmword_ptr[r8 + 32]);
                return;
            case ScaleKind.Exponent:
                Code.vpmovzxbd(Scale, __xmmword_ptr[r8]);
                Code.vpslld(Scale, Scale, 23);
                Code.vmulps(Scale, Scale, HighMask);
                return;
            case ScaleKind.SixBit: LoadSixBit(place); break;
            case ScaleKind.Nibble16:
                Code.vpmovzxbd(Minimum, __xmmword_ptr[r9 + 64 + 16 * part]);
                Code.vpandd(Scale, Minimum, Extra);
                Code.vpsrld(Minimum, Minimum, 4);
                break;
            default:
                Code.vpmovsxbd(Scale, __xmmword_ptr[r9 + 32 + 16 * part]);
                break;
        }

        Code.vcvtdq2ps(Scale, Scale);
        Code.vcvtph2ps(Scratch, __ymmword_ptr[r8]);
        Code.vmulps(Scale, Scale, Scratch);
        if (!form.HasMinimum) return;
        Code.vcvtdq2ps(Minimum, Minimum);
        Code.vcvtph2ps(Scratch, __ymmword_ptr[r8 + 32]);
        Code.vmulps(Minimum, Minimum, Scratch);
    }

    private void LoadSixBit(int place)
    {
        Code.vpmovzxbd(Minimum, __xmmword_ptr[r9 + 64 + 16 * place]);
        Code.vpmovzxbd(Scratch, __xmmword_ptr[rbp + 192]);
        Code.vpandd(Scale, Minimum, LowMask);
        Code.vpsrld(Minimum, Minimum, 4);
        // The first block's high bits are 0–1 and 2–3 of the byte, the second one's 4–5 and 6–7; all go to 4–5.
        if (place == 0) Code.vpslld(Other, Scratch, 4);
        else Code.vmovdqa64(Other, Scratch);
        Code.vpternlogd(Scale, Other, Extra, 0xF8);
        if (place == 0) Code.vpslld(Other, Scratch, 2);
        else Code.vpsrld(Other, Scratch, 2);
        Code.vpternlogd(Minimum, Other, Extra, 0xF8);
    }
}
