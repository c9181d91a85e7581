namespace Kvasir.Kernels;

/// <summary>How weights are stored in a file. The numbers are those of GGUF's <c>ggml_type</c>.</summary>
public enum WeightFormat
{
    /// <summary>32-bit IEEE float.</summary>
    F32 = 0,
    /// <summary>16-bit IEEE float.</summary>
    F16 = 1,
    /// <summary>32 weights in 18 bytes: F16 scale, 4-bit codes minus 8.</summary>
    Q4_0 = 2,
    /// <summary>32 weights in 20 bytes: F16 scale and minimum, 4-bit codes.</summary>
    Q4_1 = 3,
    /// <summary>32 weights in 22 bytes: F16 scale, 5-bit codes minus 16.</summary>
    Q5_0 = 6,
    /// <summary>32 weights in 24 bytes: F16 scale and minimum, 5-bit codes.</summary>
    Q5_1 = 7,
    /// <summary>32 weights in 34 bytes: F16 scale, signed bytes.</summary>
    Q8_0 = 8,
    /// <summary>256 weights in 84 bytes: 2-bit codes, 4-bit scales and minima per 16.</summary>
    Q2_K = 10,
    /// <summary>256 weights in 110 bytes: 3-bit codes minus 4, 6-bit scales per 16.</summary>
    Q3_K = 11,
    /// <summary>256 weights in 144 bytes: 4-bit codes, 6-bit scales and minima per 32.</summary>
    Q4_K = 12,
    /// <summary>256 weights in 176 bytes: 5-bit codes, 6-bit scales and minima per 32.</summary>
    Q5_K = 13,
    /// <summary>256 weights in 210 bytes: 6-bit codes minus 32, 8-bit scales per 16.</summary>
    Q6_K = 14,
    /// <summary>32 weights in 18 bytes: F16 scale, 4-bit indices into 16 levels.</summary>
    IQ4_NL = 20,
    /// <summary>256 weights in 136 bytes: 6-bit scales per 32, 4-bit indices into IQ4_NL's levels.</summary>
    IQ4_XS = 23,
    /// <summary>16-bit float with F32's exponent.</summary>
    BF16 = 30,
    /// <summary>32 weights in 17 bytes: E8M0 scale, 4-bit E2M1 values.</summary>
    MXFP4 = 39,
}

/// <summary>Sizes of <see cref="WeightFormat"/> blocks in a file.</summary>
public static class WeightFormats
{
    /// <summary>Weights per block: 1, 32 or 256. An unknown number is an <see cref="ArgumentException"/>.</summary>
    public static int BlockLength(this WeightFormat format) => Layout(format).Length;

    /// <summary>Bytes per block in a file.</summary>
    public static int BlockBytes(this WeightFormat format) => Layout(format).Bytes;

    /// <summary>Bytes of one row of <paramref name="columns"/> weights in a file.</summary>
    public static long RowBytes(this WeightFormat format, int columns)
    {
        var (length, bytes) = Layout(format);
        return columns > 0 && columns % length == 0
            ? (long)columns / length * bytes
            : throw new ArgumentException($"A row of {columns} weights is not a whole number of {format} blocks of {length}.");
    }

    private static (int Length, int Bytes) Layout(WeightFormat format) => format switch
    {
        WeightFormat.F32 => (1, 4),
        WeightFormat.F16 or WeightFormat.BF16 => (1, 2),
        WeightFormat.Q4_0 or WeightFormat.IQ4_NL => (32, 18),
        WeightFormat.Q4_1 => (32, 20),
        WeightFormat.Q5_0 => (32, 22),
        WeightFormat.Q5_1 => (32, 24),
        WeightFormat.Q8_0 => (32, 34),
        WeightFormat.MXFP4 => (32, 17),
        WeightFormat.Q2_K => (256, 84),
        WeightFormat.Q3_K => (256, 110),
        WeightFormat.Q4_K => (256, 144),
        WeightFormat.Q5_K => (256, 176),
        WeightFormat.Q6_K => (256, 210),
        WeightFormat.IQ4_XS => (256, 136),
        _ => throw new ArgumentException($"Weight format {(int)format} has no kernel; known are {string.Join(", ", Enum.GetNames<WeightFormat>())}."),
    };
}
