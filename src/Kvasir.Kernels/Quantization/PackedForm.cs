namespace Kvasir.Kernels;

/// <summary>How the scales of a packed unit are stored.</summary>
internal enum ScaleKind
{
    /// <summary>No scales: floats.</summary>
    None,
    /// <summary>Per 32 columns: 16 F16 scales.</summary>
    Half,
    /// <summary>Per 32 columns: 16 F16 scales, then 16 F16 minima to subtract.</summary>
    HalfMin,
    /// <summary>Per 32 columns: 16 E8M0 exponents; the scale is half of 2^(e−127).</summary>
    Exponent,
    /// <summary>Per 256: 16 F16 d, 16 F16 dmin, 8×16 bytes (low 4 bits of scale | of minimum), 4×16 bytes with the high 2 bits of two blocks.</summary>
    SixBit,
    /// <summary>Per 256: 16 F16 d, then 16×16 signed bytes, one per 16 columns.</summary>
    Byte16,
    /// <summary>Per 256: 16 F16 d, then 8×16 signed bytes, one per 32 columns.</summary>
    Byte32,
    /// <summary>Per 256: 16 F16 d, 16 F16 dmin, 16×16 bytes (scale | minimum in nibbles), one per 16 columns.</summary>
    Nibble16,
}

/// <summary>
/// The packed layout of a format. Rows are interleaved by 16, so that each 32-bit lane of a 512-bit vector is a row.
/// A group of 16 rows is its scales for all columns, then its codes for all columns. The codes of 32 columns are
/// eight vectors v0…v7 of [16 rows][4 columns]; planes keep a code's bits apart:
/// 4-bit plane i of 4 holds v_i low and v_(i+4) high; 2-bit plane i of 2 holds v_(4i+s) at bits 2s; the 1-bit plane
/// holds v_j at bit j; an 8-bit plane is the vectors themselves. Every packing is lossless and reversible.
/// </summary>
internal sealed record PackedForm(WeightFormat Format, int LowBits, int HighBits, int OffsetShift, ScaleKind Scales, bool HasLevels = false)
{
    public const int GroupRows = 16;
    public const int Block = 32;

    private static readonly PackedForm[] Forms =
    [
        new(WeightFormat.F32, 32, 0, 0, ScaleKind.None),
        new(WeightFormat.F16, 16, 0, 0, ScaleKind.None),
        new(WeightFormat.BF16, 16, 0, 0, ScaleKind.None),
        new(WeightFormat.Q4_0, 4, 0, 3, ScaleKind.Half),
        new(WeightFormat.Q4_1, 4, 0, -1, ScaleKind.HalfMin),
        new(WeightFormat.Q5_0, 4, 1, 4, ScaleKind.Half),
        new(WeightFormat.Q5_1, 4, 1, -1, ScaleKind.HalfMin),
        new(WeightFormat.Q8_0, 8, 0, 7, ScaleKind.Half),
        new(WeightFormat.Q2_K, 2, 0, -1, ScaleKind.Nibble16),
        new(WeightFormat.Q3_K, 2, 1, 2, ScaleKind.Byte16),
        new(WeightFormat.Q4_K, 4, 0, -1, ScaleKind.SixBit),
        new(WeightFormat.Q5_K, 4, 1, -1, ScaleKind.SixBit),
        new(WeightFormat.Q6_K, 4, 2, 5, ScaleKind.Byte16),
        new(WeightFormat.IQ4_NL, 4, 0, 7, ScaleKind.Half, HasLevels: true),
        new(WeightFormat.IQ4_XS, 4, 0, 7, ScaleKind.Byte32, HasLevels: true),
        new(WeightFormat.MXFP4, 4, 0, 7, ScaleKind.Exponent, HasLevels: true),
    ];

    /// <summary>IQ4_NL's levels, plus 128.</summary>
    private static readonly byte[] NonLinear = [1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241];

    /// <summary>Twice the E2M1 values, plus 128.</summary>
    private static readonly byte[] E2M1 = [128, 129, 130, 131, 132, 134, 136, 140, 128, 127, 126, 125, 124, 122, 120, 116];

    public static PackedForm Of(WeightFormat format)
    {
        foreach (var form in Forms)
            if (form.Format == format) return form;
        throw new ArgumentException($"Weight format {(int)format} has no kernel.");
    }

    public static IReadOnlyList<PackedForm> All => Forms;

    public bool IsFloat => Scales == ScaleKind.None;

    /// <summary>Subtracted from each code (after the level table).</summary>
    public int Offset => OffsetShift < 0 ? 0 : 1 << OffsetShift;

    public bool HasMinimum => Scales is ScaleKind.HalfMin or ScaleKind.SixBit or ScaleKind.Nibble16;

    /// <summary>Vectors of 4 columns that share a scale: 8 (32 columns) or 4 (16 columns).</summary>
    public int VectorsPerScale => Scales is ScaleKind.Byte16 or ScaleKind.Nibble16 ? 4 : 8;

    /// <summary>Columns per unit of the scales section: 32 or 256.</summary>
    public int UnitColumns => Scales is ScaleKind.Half or ScaleKind.HalfMin or ScaleKind.Exponent ? 32 : 256;

    /// <summary>Bytes of a unit's scales for 16 rows.</summary>
    public int UnitScaleBytes => Scales switch
    {
        ScaleKind.Half => 32,
        ScaleKind.HalfMin => 64,
        ScaleKind.Exponent => 16,
        ScaleKind.SixBit => 64 + 128 + 64,
        ScaleKind.Byte16 => 32 + 256,
        ScaleKind.Byte32 => 32 + 128,
        ScaleKind.Nibble16 => 64 + 256,
        _ => 0,
    };

    /// <summary>Bytes of 32 columns' codes for 16 rows.</summary>
    public int BlockCodeBytes => 64 * (LowBits + HighBits);

    /// <summary>16 levels (code → value + 128), or empty.</summary>
    public ReadOnlySpan<byte> Levels => !HasLevels ? [] : Format == WeightFormat.MXFP4 ? E2M1 : NonLinear;

    /// <summary>Bytes of the scales section of a group.</summary>
    public long ScaleBytes(int columns) => IsFloat ? 0 : ((long)columns / UnitColumns * UnitScaleBytes + 63) & ~63L;

    /// <summary>Bytes of a packed group of 16 rows, a multiple of 64.</summary>
    public long GroupBytes(int columns) => IsFloat
        ? (long)(Format == WeightFormat.BF16 ? (columns + 1) & ~1 : columns) * GroupRows * LowBits / 8 + 63 & ~63L
        : ScaleBytes(columns) + (long)columns / Block * BlockCodeBytes;
}
