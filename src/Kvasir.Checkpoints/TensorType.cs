namespace Kvasir.Checkpoints;

/// <summary>
/// How a tensor's values are stored. The numbers are those of GGUF's <c>ggml_type</c>; safetensors' F32, F16 and BF16
/// map onto the same three.
/// </summary>
public enum TensorType
{
    /// <summary>32-bit IEEE float.</summary>
    F32 = 0,
    /// <summary>16-bit IEEE float.</summary>
    F16 = 1,
    /// <summary>32 weights in 18 bytes: one F16 scale, 4-bit values minus 8.</summary>
    Q4_0 = 2,
    /// <summary>32 weights in 20 bytes: F16 scale and minimum, 4-bit values.</summary>
    Q4_1 = 3,
    /// <summary>32 weights in 22 bytes: F16 scale, 5-bit values minus 16.</summary>
    Q5_0 = 6,
    /// <summary>32 weights in 24 bytes: F16 scale and minimum, 5-bit values.</summary>
    Q5_1 = 7,
    /// <summary>32 weights in 34 bytes: F16 scale, 8-bit values.</summary>
    Q8_0 = 8,
    /// <summary>256 weights in 84 bytes: 16 sub-blocks with 4-bit scales and minima, 2-bit values.</summary>
    Q2_K = 10,
    /// <summary>256 weights in 110 bytes: 16 sub-blocks with 6-bit scales, 3-bit values.</summary>
    Q3_K = 11,
    /// <summary>256 weights in 144 bytes: 8 sub-blocks with 6-bit scales and minima, 4-bit values.</summary>
    Q4_K = 12,
    /// <summary>256 weights in 176 bytes: 8 sub-blocks with 6-bit scales and minima, 5-bit values.</summary>
    Q5_K = 13,
    /// <summary>256 weights in 210 bytes: 16 sub-blocks with 8-bit scales, 6-bit values minus 32.</summary>
    Q6_K = 14,
    /// <summary>32 weights in 18 bytes: F16 scale, 4-bit indices into a table of 16 levels.</summary>
    IQ4_NL = 20,
    /// <summary>256 weights in 136 bytes: 8 sub-blocks with 6-bit scales, 4-bit indices into IQ4_NL's table.</summary>
    IQ4_XS = 23,
    /// <summary>16-bit float with the exponent of F32.</summary>
    BF16 = 30,
    /// <summary>32 weights in 17 bytes: one E8M0 scale, 4-bit E2M1 values.</summary>
    MXFP4 = 39,
}

/// <summary>Sizes of <see cref="TensorType"/> blocks.</summary>
public static class TensorTypes
{
    /// <summary>Weights per block: 1 for floats, 32 or 256 for quantized types.</summary>
    public static int BlockLength(this TensorType type) => Layout(type).Length;

    /// <summary>Bytes per block.</summary>
    public static int BlockBytes(this TensorType type) => Layout(type).Bytes;

    /// <summary>Bytes of a row of <paramref name="columns"/> weights, which must be a multiple of the block length.</summary>
    public static long RowBytes(this TensorType type, long columns)
    {
        var (length, bytes) = Layout(type);
        if (columns % length != 0)
            throw new CheckpointException($"A row of {columns} weights is not a whole number of {type} blocks of {length}.");
        return columns / length * bytes;
    }

    /// <summary>Whether this reader knows the type.</summary>
    public static bool IsKnown(this TensorType type) => Enum.IsDefined(type);

    private static (int Length, int Bytes) Layout(TensorType type) => type switch
    {
        TensorType.F32 => (1, 4),
        TensorType.F16 or TensorType.BF16 => (1, 2),
        TensorType.Q4_0 or TensorType.IQ4_NL => (32, 18),
        TensorType.Q4_1 => (32, 20),
        TensorType.Q5_0 => (32, 22),
        TensorType.Q5_1 => (32, 24),
        TensorType.Q8_0 => (32, 34),
        TensorType.MXFP4 => (32, 17),
        TensorType.Q2_K => (256, 84),
        TensorType.Q3_K => (256, 110),
        TensorType.Q4_K => (256, 144),
        TensorType.Q5_K => (256, 176),
        TensorType.Q6_K => (256, 210),
        TensorType.IQ4_XS => (256, 136),
        _ => throw new CheckpointException($"Tensor type {(int)type} is not one that Kvasir reads ({string.Join(", ", Enum.GetNames<TensorType>())})."),
    };
}
