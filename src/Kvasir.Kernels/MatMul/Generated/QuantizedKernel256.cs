using System.Numerics;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Kvasir.Kernels.Generated;

/// <summary>How 256-bit kernels multiply bytes.</summary>
internal enum ByteProducts
{
    /// <summary>AVX2: products in pairs to 16 bits, which are added as long as they cannot overflow, then to 32.</summary>
    Pairs,
    /// <summary>AVX-VNNI: four products per lane to 32 bits.</summary>
    Vnni,
    /// <summary>The same instruction as AVX-512 encodes it.</summary>
    VnniOfAvx512,
}

/// <summary>
/// Writes the kernel of a quantized form: 16 rows (two halves) by some tokens, over all columns. ymm0…11 integer sums of
/// the block, 12 and 13 codes of the halves or scale and minimum, 14 and 15 activation and scratch; float sums lie in
/// the frame. rdi codes, r8 unit's scales, r9 and rbp places in them, r11 blocks left in the unit.
/// </summary>
internal sealed class QuantizedKernel256(PackedForm form, int tokens, ByteProducts products, bool listed = false) : Frame256(tokens)
{
    private const int LowMask = FirstPlace, HighMask = LowMask + 1, Ones = HighMask + 1, Levels = Ones + 1, Turn = Levels + 1, Extra = Turn + 1;
    private const int FloatSums = Extra + 1, Partial = FloatSums + 2 * MaxTokens;

    private const int LargestActivation = 127;

    private static AssemblerRegisterYMM Scale => ymm12;
    private static AssemblerRegisterYMM Minimum => ymm13;
    private static AssemblerRegisterYMM Scratch => ymm14;
    private static AssemblerRegisterYMM Other => ymm15;

    /// <summary>Codes beyond seven bits could overflow 16 bits in a pair: then their distance from the offset is multiplied, |w| with x of w's sign.</summary>
    private bool IsSigned => products == ByteProducts.Pairs && (form.LowBits == 8 || form.HasLevels);

    /// <summary>Vectors whose products are added in 16 bits.</summary>
    private int Fold
    {
        get
        {
            var largest = 0;
            foreach (var level in form.Levels) largest = Math.Max(largest, Math.Abs(level - form.Offset));
            if (!form.HasLevels) largest = IsSigned ? 128 : (1 << (form.LowBits + form.HighBits)) - 1;
            var most = short.MaxValue / (2 * LargestActivation * largest);
            return (int)BitOperations.RoundUpToPowerOf2((uint)Math.Min(most, form.VectorsPerScale) + 1) / 2;
        }
    }

    private static AssemblerRegisterYMM Sum(int token, int half) => Y[2 * token + half];

    private static AssemblerMemoryOperand FloatSum(int token, int half) => Place(FloatSums + 2 * token + half);

    protected override void Constants()
    {
        Constant(Ones, 0x0001_0001);
        Constant(Turn, 0x8080_8080);
        if (form.LowBits < 8) Constant(LowMask, form.LowBits == 4 ? 0x0F0F_0F0Fu : 0x0303_0303u);
        if (form.HighBits != 0) Constant(HighMask, (form.HighBits == 1 ? 0x0101_0101u : 0x0303_0303u) << form.LowBits);
        if (form.Scales == ScaleKind.Nibble16) Constant(Extra, 15);
        if (form.Scales == ScaleKind.SixBit) Constant(Extra, 0x30);
        if (form.Scales == ScaleKind.Exponent) Constant(Extra, BitConverter.SingleToUInt32Bits(0.5f));
        if (!form.HasLevels) return;
        for (var part = 0; part < 4; part++)
        {
            var eight = BitConverter.ToUInt64(form.Levels[(part % 2 * 8)..]);
            Code.mov(rax, IsSigned ? eight ^ 0x8080_8080_8080_8080 : eight);
            Code.mov(__qword_ptr[rsp + 32 * Levels + 8 * part], rax);
        }
    }

    protected override void Group()
    {
        Code.mov(r8, r12);
        Code.mov(rdi, r12);
        Code.add(rdi, __qword_ptr[r15 + 16]);
        Code.mov(r10, __qword_ptr[r15 + 56]);
        RewindTokens();
        Code.vpxor(ymm0, ymm0, ymm0);
        for (var t = 0; t < Tokens; t++)
            for (var half = 0; half < 2; half++) Code.vmovdqa(FloatSum(t, half), ymm0);
        var unit = Code.CreateLabel();
        Code.Label(ref unit);
        Unit();
        Code.add(r8, form.UnitScaleBytes);
        Code.dec(r10);
        Code.jne(unit);
        for (var t = 0; t < Tokens; t++)
            for (var half = 0; half < 2; half++) Code.vmovdqa(Sum(t, half), FloatSum(t, half));
        Store(r14, Sum);
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
            if (products != ByteProducts.Pairs) BeginVnni(negatedSum);
            for (var i = 0; i < vectors; i++)
            {
                // Vectors that share a byte follow each other.
                var j = vectors == 8 && form.LowBits == 4 ? i / 2 + i % 2 * 4 : part * vectors + i;
                if (products != ByteProducts.Pairs) MultiplyVnni(j);
                else if (IsSigned) MultiplySigned(j, i);
                else MultiplyPairs(j, i);
            }

            if (products == ByteProducts.Pairs && !IsSigned && form.OffsetShift >= 0) AddOffset(negatedSum);
            for (var half = 0; half < 2; half++) AddScaled(place, part, half, negatedSum);
        }

        Code.add(rdi, form.BlockCodeBytes);
        AdvanceTokens(Activations.RecordBytes);
    }

    private void BeginVnni(int negatedSum)
    {
        for (var t = 0; t < Tokens; t++)
        {
            var (low, high) = (Sum(t, 0), Sum(t, 1));
            if (form.OffsetShift < 0)
            {
                Code.vpxor(low, low, low);
                Code.vpxor(high, high, high);
                continue;
            }

            Code.vpbroadcastd(low, __dword_ptr[Address(t, negatedSum)]);
            Code.vpslld(low, low, (byte)form.OffsetShift);
            Code.vmovdqa(high, low);
        }
    }

    private void MultiplyVnni(int j)
    {
        for (var half = 0; half < 2; half++) LoadCodes(Y[12 + half], j, half);
        for (var t = 0; t < Tokens; t++)
        {
            Code.vpbroadcastd(ymm14, __dword_ptr[Address(t, 4 * j)]);
            for (var half = 0; half < 2; half++)
                if (products == ByteProducts.Vnni) Code.vex.vpdpbusd(Sum(t, half), Y[12 + half], ymm14);
                else Code.evex.vpdpbusd(Sum(t, half), Y[12 + half], ymm14);
        }
    }

    private void MultiplyPairs(int j, int i)
    {
        for (var half = 0; half < 2; half++) LoadCodes(Y[12 + half], j, half);
        for (var t = 0; t < Tokens; t++)
        {
            Code.vpbroadcastd(ymm14, __dword_ptr[Address(t, 4 * j)]);
            for (var half = 0; half < 2; half++) Pairs(Sum(t, half), Y[12 + half], ymm14, ymm15, i);
        }

        Widen(i);
    }

    private void MultiplySigned(int j, int i)
    {
        for (var half = 0; half < 2; half++)
        {
            LoadCodes(ymm12, j, half);
            Code.vpabsb(ymm13, ymm12);
            for (var t = 0; t < Tokens; t++)
            {
                Code.vpbroadcastd(ymm14, __dword_ptr[Address(t, 4 * j)]);
                Code.vpsignb(ymm14, ymm14, ymm12);
                Pairs(Sum(t, half), ymm13, ymm14, ymm14, i);
            }
        }

        Widen(i);
    }

    /// <summary>Adds products in pairs to a sum of 16 bits, or of 32 where two could overflow.</summary>
    private void Pairs(AssemblerRegisterYMM sum, AssemblerRegisterYMM codes, AssemblerRegisterYMM x, AssemblerRegisterYMM scratch, int i)
    {
        var fresh = i % (Fold == 1 ? form.VectorsPerScale : Fold) == 0;
        var to = fresh ? sum : scratch;
        Code.vpmaddubsw(to, codes, x);
        if (Fold == 1) Code.vpmaddwd(to, to, Place(Ones));
        if (fresh) return;
        if (Fold == 1) Code.vpaddd(sum, sum, to);
        else Code.vpaddw(sum, sum, to);
    }

    /// <summary>After as many vectors as 16 bits bear, the sums go to 32 bits, and to the frame if more come.</summary>
    private void Widen(int i)
    {
        if (Fold == 1 || (i + 1) % Fold != 0) return;
        for (var t = 0; t < Tokens; t++)
            for (var half = 0; half < 2; half++)
            {
                var (sum, partial) = (Sum(t, half), Place(Partial + 2 * t + half));
                Code.vpmaddwd(sum, sum, Place(Ones));
                if (i >= Fold) Code.vpaddd(sum, sum, partial);
                if (i + 1 < form.VectorsPerScale) Code.vmovdqa(partial, sum);
            }
    }

    private void AddOffset(int negatedSum)
    {
        for (var t = 0; t < Tokens; t++)
        {
            Code.vpbroadcastd(Scratch, __dword_ptr[Address(t, negatedSum)]);
            Code.vpslld(Scratch, Scratch, (byte)form.OffsetShift);
            for (var half = 0; half < 2; half++) Code.vpaddd(Sum(t, half), Sum(t, half), Scratch);
        }
    }

    private void AddScaled(int place, int part, int half, int negatedSum)
    {
        LoadScales(place, part, half);
        for (var t = 0; t < Tokens; t++)
        {
            var value = Sum(t, half);
            Code.vcvtdq2ps(value, value);
            Code.vmulps(value, value, Scale);
            if (form.HasMinimum)
            {
                Code.vpbroadcastd(Scratch, __dword_ptr[Address(t, negatedSum)]);
                Code.vcvtdq2ps(Scratch, Scratch);
                Code.vfmadd231ps(value, Minimum, Scratch);
            }

            Code.vbroadcastss(Other, __dword_ptr[Address(t, 32)]);
            Code.vfmadd213ps(value, Other, FloatSum(t, half));
            Code.vmovaps(FloatSum(t, half), value);
        }
    }

    /// <summary>Eight rows of a vector of four columns, as bytes: codes, or their distance from the offset. Changes the scratch registers.</summary>
    private void LoadCodes(AssemblerRegisterYMM to, int j, int half)
    {
        var (line, shift) = form.LowBits switch { 8 => (j, 0), 4 => (j & 3, j >> 2 << 2), _ => (j >> 2, 2 * (j & 3)) };
        Code.vmovdqu(to, __ymmword_ptr[rdi + 64 * line + 32 * half]);
        if (shift != 0) Code.vpsrld(to, to, (byte)shift);
        if (form.LowBits < 8) Code.vpand(to, to, Place(LowMask));
        else if (IsSigned) Code.vpxor(to, to, Place(Turn));
        if (form.HighBits != 0) AddHighBits(to, j, half);
        if (!form.HasLevels) return;
        Code.vmovdqa(Other, Place(Levels));
        Code.vpshufb(to, Other, to);
    }

    private void AddHighBits(AssemblerRegisterYMM to, int j, int half)
    {
        var (line, bit) = form.HighBits == 1 ? (0, j) : (j >> 2, 2 * (j & 3));
        Code.vmovdqu(Other, __ymmword_ptr[rdi + 64 * (form.LowBits + line) + 32 * half]);
        if (bit < form.LowBits) Code.vpslld(Other, Other, (byte)(form.LowBits - bit));
        else if (bit > form.LowBits) Code.vpsrld(Other, Other, (byte)(bit - form.LowBits));
        Code.vpand(Other, Other, Place(HighMask));
        Code.vpor(to, to, Other);
    }

    private void LoadScales(int place, int part, int half)
    {
        var (halves, bytes) = (16 * half, 8 * half);
        switch (form.Scales)
        {
            case ScaleKind.Half:
                Code.vcvtph2ps(Scale, __xmmword_ptr[r8 + halves]);
                return;
            case ScaleKind.HalfMin:
                Code.vcvtph2ps(Scale, __xmmword_ptr[r8 + halves]);
                Code.vcvtph2ps(Minimum, __xmmword_ptr[r8 + 32 + halves]);
                return;
            case ScaleKind.Exponent:
                Code.vpmovzxbd(Scale, __qword_ptr[r8 + bytes]);
                Code.vpslld(Scale, Scale, 23);
                Code.vmulps(Scale, Scale, Place(Extra));
                return;
            case ScaleKind.SixBit: LoadSixBit(place, bytes); break;
            case ScaleKind.Nibble16:
                Code.vpmovzxbd(Minimum, __qword_ptr[r9 + 64 + 16 * part + bytes]);
                Code.vpand(Scale, Minimum, Place(Extra));
                Code.vpsrld(Minimum, Minimum, 4);
                break;
            default:
                Code.vpmovsxbd(Scale, __qword_ptr[r9 + 32 + 16 * part + bytes]);
                break;
        }

        Code.vcvtdq2ps(Scale, Scale);
        Code.vcvtph2ps(Scratch, __xmmword_ptr[r8 + halves]);
        Code.vmulps(Scale, Scale, Scratch);
        if (!form.HasMinimum) return;
        Code.vcvtdq2ps(Minimum, Minimum);
        Code.vcvtph2ps(Scratch, __xmmword_ptr[r8 + 32 + halves]);
        Code.vmulps(Minimum, Minimum, Scratch);
    }

    private void LoadSixBit(int place, int bytes)
    {
        Code.vpmovzxbd(Minimum, __qword_ptr[r9 + 64 + 16 * place + bytes]);
        Code.vpmovzxbd(Scratch, __qword_ptr[rbp + 192 + bytes]);
        Code.vpand(Scale, Minimum, Place(LowMask));
        Code.vpsrld(Minimum, Minimum, 4);
        // The first block's high bits are 0–1 and 2–3 of the byte, the second one's 4–5 and 6–7; all go to 4–5.
        if (place == 0) Code.vpslld(Other, Scratch, 4);
        else Code.vmovdqa(Other, Scratch);
        Code.vpand(Other, Other, Place(Extra));
        Code.vpor(Scale, Scale, Other);
        if (place == 0) Code.vpslld(Other, Scratch, 2);
        else Code.vpsrld(Other, Scratch, 2);
        Code.vpand(Other, Other, Place(Extra));
        Code.vpor(Minimum, Minimum, Other);
    }
}
