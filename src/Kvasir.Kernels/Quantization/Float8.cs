namespace Kvasir.Kernels;

/// <summary>8-bit float E4M3 (OCP 8-bit floating point specification 1.0): bias 7, no infinities.</summary>
internal static class Float8
{
    private const float Largest = 448;

    /// <summary>Rounds to the nearest, ties to even; what is larger than 448 becomes 448, NaN becomes 0x7F, which kernels read as 480.</summary>
    public static byte FromSingle(float value)
    {
        var sign = (BitConverter.SingleToUInt32Bits(value) >> 24) & 0x80;
        var magnitude = MathF.Abs(value);
        if (float.IsNaN(magnitude)) return (byte)(sign | 0x7F);
        magnitude = MathF.Min(magnitude, Largest);
        // Below 2^−6 codes are multiples of 2^−9.
        if (magnitude < 0.015625f) return (byte)(sign | (uint)MathF.Round(magnitude * 512));
        var bits = BitConverter.SingleToUInt32Bits(magnitude);
        return (byte)(sign | (((bits + 0x7FFFF + (bits >> 20 & 1)) >> 20) - (120 << 3)));
    }
}
