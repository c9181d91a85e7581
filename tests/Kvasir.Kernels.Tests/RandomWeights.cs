using System.Buffers.Binary;

namespace Kvasir.Kernels.Tests;

/// <summary>Random weights in every file format: random codes, scales of ordinary size.</summary>
internal static class RandomWeights
{
    public static IEnumerable<WeightFormat> Formats => Enum.GetValues<WeightFormat>();

    public static byte[] Rows(WeightFormat format, int rows, int columns, int seed)
    {
        var random = new Random(seed);
        var bytes = new byte[rows * format.RowBytes(columns)];
        random.NextBytes(bytes);
        var size = format.BlockBytes();
        for (var at = 0; at < bytes.Length; at += size) FixScales(format, bytes.AsSpan(at, size), random);
        return bytes;
    }

    public static float[] Values(int count, int seed, float size = 1)
    {
        var random = new Random(seed);
        var values = new float[count];
        for (var i = 0; i < count; i++) values[i] = (float)(random.NextDouble() * 2 - 1) * size;
        return values;
    }

    private static void FixScales(WeightFormat format, Span<byte> block, Random random)
    {
        switch (format)
        {
            case WeightFormat.F32: BinaryPrimitives.WriteSingleLittleEndian(block, Small(random)); break;
            case WeightFormat.F16: PutHalf(block, Small(random)); break;
            case WeightFormat.BF16: BinaryPrimitives.WriteInt16LittleEndian(block, (short)(BitConverter.SingleToInt32Bits(Small(random)) >> 16)); break;
            case WeightFormat.MXFP4: block[0] = (byte)random.Next(118, 126); break;
            case WeightFormat.Q4_1 or WeightFormat.Q5_1:
                PutHalf(block, Small(random));
                PutHalf(block[2..], Small(random));
                break;
            case WeightFormat.Q2_K:
                PutHalf(block[80..], Small(random));
                PutHalf(block[82..], Small(random));
                break;
            case WeightFormat.Q3_K: PutHalf(block[108..], Small(random)); break;
            case WeightFormat.Q6_K: PutHalf(block[208..], Small(random)); break;
            case WeightFormat.Q4_K or WeightFormat.Q5_K:
                PutHalf(block, Small(random));
                PutHalf(block[2..], Small(random));
                break;
            default: PutHalf(block, Small(random)); break;
        }
    }

    private static float Small(Random random) => (float)(random.NextDouble() - 0.5) * 0.1f;

    private static void PutHalf(Span<byte> at, float value) => BinaryPrimitives.WriteHalfLittleEndian(at, (Half)value);
}
