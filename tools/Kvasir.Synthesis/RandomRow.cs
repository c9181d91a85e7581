using System.Runtime.InteropServices;
using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>Fills rows with random weights of a given standard deviation, as any tensor type stores them.</summary>
internal sealed class RandomRow
{
    // Half-normal shape from sums of eight bytes, in whole numbers so that every machine gets the same.
    private static readonly float[] Normal = MakeNormal();

    private readonly TensorType _type;
    private readonly float[] _floats = [];
    private readonly ushort[] _halves = [];
    private readonly double _deviation;

    public RandomRow(TensorType type, double deviation)
    {
        (_type, _deviation) = (type, deviation);
        var scaled = type.BlockLength() == 1 ? Array.ConvertAll(Normal, value => (float)(value * deviation)) : [];
        if (type == TensorType.F32) _floats = scaled;
        if (type == TensorType.F16) _halves = Array.ConvertAll(scaled, value => BitConverter.HalfToUInt16Bits((Half)value));
        if (type == TensorType.BF16) _halves = Array.ConvertAll(scaled, ToBFloat16);
    }

    public void Fill(Span<byte> row, ref RandomBits random)
    {
        if (_type == TensorType.F32) Look(MemoryMarshal.Cast<byte, float>(row), _floats, ref random);
        else if (_type.BlockLength() == 1) Look(MemoryMarshal.Cast<byte, ushort>(row), _halves, ref random);
        else RandomBlocks.Fill(row, _type, _deviation, ref random);
    }

    public static ushort ToBFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static void Look<T>(Span<T> row, T[] table, ref RandomBits random)
    {
        for (var i = 0; i < row.Length; i += 4)
        {
            var bits = random.Next();
            for (var j = i; j < Math.Min(i + 4, row.Length); j++, bits >>= 16) row[j] = table[(ushort)bits];
        }
    }

    private static float[] MakeNormal()
    {
        var table = new float[65536];
        for (var i = 0; i < table.Length; i++)
        {
            var sum = 0;
            for (var bits = RandomBits.Mix((ulong)i + 1); bits != 0; bits >>= 8) sum += (int)(bits & 255);
            // Eight bytes: mean 1020, variance 8 · 65535/12.
            table[i] = (sum - 1020) / 209.0215f;
        }
        return table;
    }
}
