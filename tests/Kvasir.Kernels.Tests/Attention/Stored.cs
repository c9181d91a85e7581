namespace Kvasir.Kernels.Tests.Attention;

/// <summary>What each format makes of a head's numbers, as its definition says and slowly.</summary>
internal static class Stored
{
    /// <summary>Every number of FP8 E4M3 that is not negative.</summary>
    private static readonly double[] Float8s =
        [.. Enumerable.Range(0, 127).Select(code => code < 8 ? code / 8.0 * Math.Pow(2, -6) : (1 + code % 8 / 8.0) * Math.Pow(2, code / 8 - 7))];

    public static float[] Heads(KvFormat format, float[] values, int size) => [.. values.Chunk(size).SelectMany(head => Head(format, head))];

    /// <summary>Queries that quantized keys are multiplied with: signed bytes per 32 values.</summary>
    public static float[] Queries(float[] values, int size) => [.. Rotated(values, head => head.Chunk(32).SelectMany(unit =>
    {
        var largest = unit.Max(MathF.Abs);
        return unit.Select(value => MathF.Round(value * (127f / largest)) * (largest / 127f));
    }), size)];

    /// <summary>Rotates each head, rounds it, and rotates it back.</summary>
    private static float[] Rotated(float[] values, Func<float[], IEnumerable<float>> round, int size) =>
        [.. values.Chunk(size).SelectMany(head => Rotate([.. round(Rotate(head))]))];

    private static unsafe float[] Rotate(float[] head)
    {
        float[] rotated = [.. head];
        fixed (float* at = rotated) Hadamard.Rotate(at, head.Length, Hadamard.Mixed(head.Length));
        return rotated;
    }

    private static IEnumerable<float> Head(KvFormat format, float[] head) => format switch
    {
        KvFormat.F32 => head,
        KvFormat.F16 => head.Select(value => (float)(Half)value),
        KvFormat.BF16 => head.Select(BF16),
        KvFormat.FP8 => head.Select(FP8),
        KvFormat.Q8_0 => Rotated(head, rotated => rotated.Chunk(32).SelectMany(Q8_0), head.Length),
        _ => Rotated(head, rotated => rotated.Chunk(32).SelectMany(Q4_0), head.Length),
    };

    private static float BF16(float value)
    {
        var below = BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFF_0000);
        var above = BitConverter.UInt32BitsToSingle((BitConverter.SingleToUInt32Bits(value) & 0xFFFF_0000) + 0x1_0000);
        var (toBelow, toAbove) = (Math.Abs((double)value - below), Math.Abs((double)value - above));
        var even = (BitConverter.SingleToUInt32Bits(below) >> 16 & 1) == 0;
        return toBelow < toAbove || (toBelow == toAbove && even) ? below : above;
    }

    private static float FP8(float value)
    {
        var best = 0;
        for (var code = 1; code < Float8s.Length; code++)
        {
            var (now, before) = (Math.Abs(Math.Abs((double)value) - Float8s[code]), Math.Abs(Math.Abs((double)value) - Float8s[best]));
            if (now < before || (now == before && code % 2 == 0)) best = code;
        }

        return (float)Math.CopySign(Float8s[best], value);
    }

    private static IEnumerable<float> Q8_0(float[] unit)
    {
        var scale = (float)(Half)(unit.Max(MathF.Abs) / 127);
        return unit.Select(value => scale == 0 ? 0 : scale * Math.Clamp(MathF.Round(value * (1 / scale)), -127, 127));
    }

    private static IEnumerable<float> Q4_0(float[] unit)
    {
        var scale = (float)(Half)(unit.Append(0).MaxBy(MathF.Abs) / -8);
        return unit.Select(value => scale == 0 ? 0 : scale * (Math.Clamp(MathF.Floor(value * (1 / scale) + 8.5f), 0, 15) - 8));
    }
}
