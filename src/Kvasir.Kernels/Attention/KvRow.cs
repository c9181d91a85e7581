using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>Stores one token's key or value of one head.</summary>
internal static unsafe class KvRow
{
    private const int Unit = 32;

    /// <summary>Bytes between the codes of two units.</summary>
    private static int UnitBytes(KvFormat format) => format == KvFormat.Q8_0 ? 512 : 256;

    /// <summary>Stores a key.</summary>
    /// <param name="format">How.</param>
    /// <param name="head">The block's keys of the head.</param>
    /// <param name="place">The token's place in the block.</param>
    /// <param name="from">The key.</param>
    /// <param name="size">Its length.</param>
    public static void PutKey(KvFormat format, byte* head, int place, float* from, int size)
    {
        if (KvLayout.IsQuantized(format)) Quantize(format, head, place, from, size, isKey: true);
        else
            for (var i = 0; i < size; i++) Put(format, head, i * 16 + place, from[i]);
    }

    /// <summary>Stores a value.</summary>
    /// <param name="format">How.</param>
    /// <param name="head">The block's values of the head.</param>
    /// <param name="place">The token's place in the block.</param>
    /// <param name="from">The value.</param>
    /// <param name="size">Its length.</param>
    public static void PutValue(KvFormat format, byte* head, int place, float* from, int size)
    {
        if (KvLayout.IsQuantized(format)) Quantize(format, head, place, from, size, isKey: false);
        else
            for (var i = 0; i < size; i++) Put(format, head, (i / 16 * 16 + place) * 16 + i % 16, from[i]);
    }

    private static void Put(KvFormat format, byte* head, int at, float value)
    {
        switch (format)
        {
            case KvFormat.F32:
                ((float*)head)[at] = value;
                break;
            case KvFormat.F16:
                ((Half*)head)[at] = (Half)value;
                break;
            case KvFormat.BF16:
                ((ushort*)head)[at] = HalfFloat.ToBFloat16(value);
                break;
            default:
                head[at] = Float8.FromSingle(value);
                break;
        }
    }

    private static void Quantize(KvFormat format, byte* head, int place, float* from, int size, bool isKey)
    {
        var rotated = stackalloc float[Hadamard.MostMixed];
        var codes = stackalloc byte[Unit];
        var to = head + KvLayout.ScaleBytes(size);
        var mixed = Hadamard.Mixed(size);
        var part = Math.Max(mixed, Unit);
        for (var first = 0; first < size; first += Unit, to += UnitBytes(format))
        {
            if (first % part == 0)
            {
                var count = Math.Min(part, size - first);
                new Span<float>(rotated, part).Clear();
                new ReadOnlySpan<float>(from + first, count).CopyTo(new Span<float>(rotated, part));
                Hadamard.Rotate(rotated, count, mixed);
            }

            var unit = rotated + first % part;
            ((Half*)head)[first / Unit * 16 + place] = format == KvFormat.Q8_0 ? Bytes(unit, codes) : Nibbles(unit, codes);
            if (isKey) PlaceKey(format, codes, to + 4 * place);
            else PlaceValue(format, codes, to, place);
        }
    }

    /// <summary>The codes plus 128, as Q8_0 rounds: scale = largest magnitude / 127. The scale is rounded first.</summary>
    private static Half Bytes(float* unit, byte* codes)
    {
        var largest = 0f;
        for (var i = 0; i < Unit; i++) largest = MathF.Max(largest, MathF.Abs(unit[i]));
        var scale = Scale(largest / 127);
        var inverse = Inverse(scale);
        for (var i = 0; i < Unit; i++) codes[i] = (byte)(128 + Math.Clamp((int)MathF.Round(unit[i] * inverse), -127, 127));
        return scale;
    }

    /// <summary>The codes plus 8, as Q4_0 rounds: the value of the largest magnitude becomes −8 exactly.</summary>
    private static Half Nibbles(float* unit, byte* codes)
    {
        var (most, least) = (0f, 0f);
        for (var i = 0; i < Unit; i++) (most, least) = (MathF.Max(most, unit[i]), MathF.Min(least, unit[i]));
        var scale = Scale((most > -least ? most : least) / -8);
        var inverse = Inverse(scale);
        for (var i = 0; i < Unit; i++) codes[i] = (byte)Math.Clamp((int)MathF.Floor(unit[i] * inverse + 8.5f), 0, 15);
        return scale;
    }

    private static Half Scale(float scale) => (Half)Math.Clamp(scale, -65504f, 65504f);

    private static float Inverse(Half scale) => scale == Half.Zero ? 0 : 1 / (float)scale;

    /// <summary>Four columns to each vector of 16 tokens.</summary>
    private static void PlaceKey(KvFormat format, byte* codes, byte* to)
    {
        if (format == KvFormat.Q8_0)
            for (var j = 0; j < 8; j++) ((uint*)(to + 64 * j))[0] = ((uint*)codes)[j];
        else
            for (var j = 0; j < 4; j++) ((uint*)(to + 64 * j))[0] = ((uint*)codes)[j] | ((uint*)codes)[j + 4] << 4;
    }

    private static void PlaceValue(KvFormat format, byte* codes, byte* to, int place)
    {
        var (low, high) = (Vector128.Load(codes), Vector128.Load(codes + 16));
        if (format == KvFormat.Q8_0)
        {
            // Values are signed, keys have 128 added.
            (low ^ Vector128.Create((byte)0x80)).Store(to + Unit * place);
            (high ^ Vector128.Create((byte)0x80)).Store(to + Unit * place + 16);
            return;
        }

        (low | Vector128.ShiftLeft(high.AsUInt32(), 4).AsByte()).Store(to + Unit / 2 * place);
    }
}
