using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>Exact F16 and BF16 to F32, in vectors and without F16C, which .NET does not expose.</summary>
internal static unsafe class HalfFloat
{
    /// <summary>One F16 value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ToSingle(ushort bits) => (float)BitConverter.UInt16BitsToHalf(bits);

    /// <summary>Eight F16 values (zero-extended) as floats; subnormals, infinities and NaN included.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ToSingle(Vector256<uint> half)
    {
        var magnitude = Vector256.ShiftLeft(half & Vector256.Create(0x7FFFu), 13);
        // Multiplying by 2^112 moves the exponent's bias from 15 to 127 and normalizes subnormals; infinities need the rest.
        var value = magnitude.AsSingle() * Vector256.Create(5.192296858534828e33f);
        var special = Vector256.GreaterThan(magnitude, Vector256.Create(0x0F7FFFFFu)) & Vector256.Create(0x7F800000u);
        var sign = Vector256.ShiftLeft(half & Vector256.Create(0x8000u), 16);
        return (value.AsUInt32() | special | sign).AsSingle();
    }

    /// <summary>Eight F16 values from memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(ushort* at)
    {
        var (low, high) = Vector128.Widen(Vector128.Load(at));
        return ToSingle(Vector256.Create(low, high));
    }

    /// <summary>Rounds to the nearest BF16, ties to even; NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort ToBFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)(bits >> 16 | 0x40) : (ushort)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    }
}
