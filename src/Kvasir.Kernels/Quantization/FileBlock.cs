using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Kvasir.Kernels;

/// <summary>
/// Reads one block of a file's quantized format into unsigned codes and scales: the scalar definition of every format.
/// A weight is <c>scale · (level(code) − offset) − minimum</c>. Layouts are those of ggml's <c>ggml-common.h</c>.
/// Four codes at a time, as the bytes of a 32-bit word.
/// </summary>
internal static unsafe class FileBlock
{
    private const uint Nibbles = 0x0F0F0F0F;

    /// <summary>Codes of one block, 4 columns per word: 8 words for blocks of 32, 64 for blocks of 256.</summary>
    public static void ReadCodes(WeightFormat format, byte* block, uint* codes)
    {
        switch (format)
        {
            case WeightFormat.Q4_0 or WeightFormat.IQ4_NL: Split(block + 2, codes); break;
            case WeightFormat.Q4_1: Split(block + 4, codes); break;
            case WeightFormat.MXFP4: Split(block + 1, codes); break;
            case WeightFormat.Q5_0: Split(block + 6, codes); AddFifthBit(Word(block + 2), codes); break;
            case WeightFormat.Q5_1: Split(block + 8, codes); AddFifthBit(Word(block + 4), codes); break;
            case WeightFormat.Q8_0:
                for (var i = 0; i < 8; i++) codes[i] = Word(block + 2 + 4 * i) ^ 0x80808080;
                break;
            case WeightFormat.IQ4_XS:
                for (var b = 0; b < 8; b++) Split(block + 8 + 16 * b, codes + 8 * b);
                break;
            case WeightFormat.Q2_K: ReadQ2(block + 16, codes); break;
            case WeightFormat.Q3_K: ReadQ3(block, codes); break;
            case WeightFormat.Q4_K: ReadQ4(block + 16, codes); break;
            case WeightFormat.Q5_K: ReadQ5(block, codes); break;
            case WeightFormat.Q6_K: ReadQ6(block, codes); break;
            default: throw new ArgumentException($"{format} has no quantized blocks.");
        }
    }

    /// <summary>
    /// Integer scales and minima of a block of 256 (16 or 8 of each, as the format has), d and dmin as F16 bits.
    /// For blocks of 32: only d and dmin (the format's scale and minimum; MXFP4's exponent in d).
    /// </summary>
    public static (ushort D, ushort Minimum) ReadScales(WeightFormat format, byte* block, sbyte* scales, byte* minima)
    {
        switch (format)
        {
            case WeightFormat.MXFP4: return (block[0], 0);
            case WeightFormat.Q4_1 or WeightFormat.Q5_1: return (Half(block), (ushort)(Half(block + 2) ^ 0x8000));
            case WeightFormat.Q2_K:
                for (var i = 0; i < 16; i++) (scales[i], minima[i]) = ((sbyte)(block[i] & 15), (byte)(block[i] >> 4));
                return (Half(block + 80), Half(block + 82));
            case WeightFormat.Q3_K:
                for (var i = 0; i < 16; i++)
                {
                    var low = (block[96 + i % 8] >> 4 * (i / 8)) & 15;
                    scales[i] = (sbyte)((low | ((block[104 + i % 4] >> 2 * (i / 4)) & 3) << 4) - 32);
                }

                return (Half(block + 108), 0);
            case WeightFormat.Q4_K or WeightFormat.Q5_K:
                ReadSixBit(block + 4, scales, minima);
                return (Half(block), Half(block + 2));
            case WeightFormat.Q6_K:
                for (var i = 0; i < 16; i++) scales[i] = (sbyte)block[192 + i];
                return (Half(block + 208), 0);
            case WeightFormat.IQ4_XS:
                for (var i = 0; i < 8; i++)
                    scales[i] = (sbyte)((((block[4 + i / 2] >> 4 * (i % 2)) & 15) | ((Half(block + 2) >> 2 * i) & 3) << 4) - 32);
                return (Half(block), 0);
            default: return (Half(block), 0);
        }
    }

    private static void ReadSixBit(byte* packed, sbyte* scales, byte* minima)
    {
        for (var i = 0; i < 4; i++)
        {
            scales[i] = (sbyte)(packed[i] & 63);
            minima[i] = (byte)(packed[i + 4] & 63);
            scales[i + 4] = (sbyte)((packed[i + 8] & 15) | (packed[i] >> 6) << 4);
            minima[i + 4] = (byte)((packed[i + 8] >> 4) | (packed[i + 4] >> 6) << 4);
        }
    }

    private static void Split(byte* nibbles, uint* codes)
    {
        for (var i = 0; i < 4; i++)
        {
            var word = Word(nibbles + 4 * i);
            codes[i] = word & Nibbles;
            codes[i + 4] = word >> 4 & Nibbles;
        }
    }

    private static void AddFifthBit(uint bits, uint* codes)
    {
        // A nibble times 0x00204081 puts its four bits at the bottom of four bytes.
        for (var i = 0; i < 8; i++) codes[i] |= ((bits >> 4 * i & 15) * 0x00204081 & 0x01010101) << 4;
    }

    private static void ReadQ2(byte* quants, uint* codes)
    {
        for (var b = 0; b < 8; b++)
            for (var i = 0; i < 8; i++)
                codes[8 * b + i] = Word(quants + 32 * (b / 4) + 4 * i) >> 2 * (b % 4) & 0x03030303;
    }

    private static void ReadQ3(byte* block, uint* codes)
    {
        ReadQ2(block + 32, codes);
        for (var b = 0; b < 8; b++)
            for (var i = 0; i < 8; i++)
                codes[8 * b + i] |= (Word(block + 4 * i) >> b & 0x01010101) << 2;
    }

    private static void ReadQ4(byte* quants, uint* codes)
    {
        for (var pair = 0; pair < 4; pair++)
            for (var i = 0; i < 8; i++)
            {
                var word = Word(quants + 32 * pair + 4 * i);
                codes[16 * pair + i] = word & Nibbles;
                codes[16 * pair + 8 + i] = word >> 4 & Nibbles;
            }
    }

    private static void ReadQ5(byte* block, uint* codes)
    {
        ReadQ4(block + 48, codes);
        for (var b = 0; b < 8; b++)
            for (var i = 0; i < 8; i++)
                codes[8 * b + i] |= (Word(block + 16 + 4 * i) >> b & 0x01010101) << 4;
    }

    private static void ReadQ6(byte* block, uint* codes)
    {
        for (var half = 0; half < 2; half++)
            for (var i = 0; i < 8; i++)
            {
                var low = Word(block + 64 * half + 4 * i);
                var next = Word(block + 64 * half + 32 + 4 * i);
                var high = Word(block + 128 + 32 * half + 4 * i);
                var to = codes + 32 * half + i;
                to[0] = low & Nibbles | (high & 0x03030303) << 4;
                to[8] = next & Nibbles | (high >> 2 & 0x03030303) << 4;
                to[16] = low >> 4 & Nibbles | (high >> 4 & 0x03030303) << 4;
                to[24] = next >> 4 & Nibbles | (high >> 6 & 0x03030303) << 4;
            }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Word(byte* at) => BinaryPrimitives.ReadUInt32LittleEndian(new ReadOnlySpan<byte>(at, 4));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ushort Half(byte* at) => (ushort)(at[0] | at[1] << 8);
}
