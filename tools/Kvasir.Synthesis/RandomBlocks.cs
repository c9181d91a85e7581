using System.Buffers.Binary;
using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>
/// Random quantized blocks: random codes, and scales chosen so that the weights have mean zero and the deviation asked for.
/// Layouts as in GGUF (ggml's ggml-common.h).
/// </summary>
internal static class RandomBlocks
{
    // Standard deviations of uniform codes.
    private const double Of4Bits = 4.610, Of5Bits = 9.233, Of6Bits = 18.473, Of8Bits = 73.9, OfLevels = 68.9, OfE2M1 = 2.926;

    public static void Fill(Span<byte> row, TensorType type, double deviation, ref RandomBits random)
    {
        random.Fill(row);
        var size = type.BlockBytes();
        for (; row.Length >= size; row = row[size..])
        {
            // Blocks differ in scale, by a quarter either way.
            var wanted = deviation * (0.75 + random.Next() % 1024 / 2048.0);
            Scale(row[..size], type, wanted);
        }
    }

    private static void Scale(Span<byte> block, TensorType type, double deviation)
    {
        switch (type)
        {
            case TensorType.Q4_0: Half(block, 0, deviation / Of4Bits); break;
            case TensorType.Q4_1: HalfAndMinimum(block, deviation / Of4Bits, -7.5); break;
            case TensorType.Q5_0: Half(block, 0, deviation / Of5Bits); break;
            case TensorType.Q5_1: HalfAndMinimum(block, deviation / Of5Bits, -15.5); break;
            case TensorType.Q8_0: Half(block, 0, deviation / Of8Bits); break;
            case TensorType.IQ4_NL: Half(block, 0, deviation / OfLevels); break;
            case TensorType.MXFP4: block[0] = (byte)Math.Clamp(127 + (int)Math.Round(Math.Log2(deviation / OfE2M1)), 1, 254); break;
            case TensorType.Q2_K: Q2K(block, deviation); break;
            case TensorType.Q3_K: Half(block, 108, deviation / (2.29 * Of6Bits)); break;
            case TensorType.Q4_K: ScalesAndMinima(block, deviation / Of4Bits, 7.5); break;
            case TensorType.Q5_K: ScalesAndMinima(block, deviation / Of5Bits, 15.5); break;
            case TensorType.Q6_K: Half(block, 208, deviation / (Of6Bits * Of8Bits)); break;
            case TensorType.IQ4_XS: Half(block, 0, deviation / (OfLevels * Of6Bits)); break;
            default: throw new ArgumentException($"{type} has no blocks.", nameof(type));
        }
    }

    private static void Half(Span<byte> block, int at, double value) => BinaryPrimitives.WriteHalfLittleEndian(block[at..], (Half)value);

    private static void HalfAndMinimum(Span<byte> block, double scale, double middle)
    {
        Half(block, 0, scale);
        Half(block, 2, scale * middle);
    }

    /// <summary>Sixteen pairs of 4 bits, scale 6 to 9 and the minimum that centres its codes 0 to 3.</summary>
    private static void Q2K(Span<byte> block, double deviation)
    {
        for (var i = 0; i < 16; i++)
        {
            var scale = 6 + block[i] % 4;
            block[i] = (byte)(scale | (scale * 3 / 2) << 4);
        }
        var d = deviation / (7.5 * 1.118);
        Half(block, 80, d);
        Half(block, 82, d);
    }

    /// <summary>Eight pairs of 6 bits in twelve bytes: scales 16 to 31 and minima of twice as much, which centre the codes.</summary>
    private static void ScalesAndMinima(Span<byte> block, double deviationOfCodes, double middle)
    {
        var d = deviationOfCodes / 23.5;
        Half(block, 0, d);
        Half(block, 2, d * middle / 2);
        var packed = block[4..16];
        Span<byte> scales = stackalloc byte[8];
        for (var i = 0; i < 8; i++) scales[i] = (byte)(16 + packed[i] % 16);
        for (var i = 0; i < 4; i++)
        {
            int high = scales[i + 4], highMinimum = 2 * high;
            packed[i] = (byte)(scales[i] | (high >> 4) << 6);
            packed[i + 4] = (byte)(2 * scales[i] | (highMinimum >> 4) << 6);
            packed[i + 8] = (byte)((high & 15) | (highMinimum & 15) << 4);
        }
    }
}
