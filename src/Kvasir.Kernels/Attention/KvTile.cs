using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>
/// Widens stored keys and values to F32, for the strategies written in C#. Every stored number is a float exactly, and
/// so is the product of a code and its F16 scale: what is multiplied is the same in every strategy.
/// </summary>
internal static unsafe class KvTile
{
    /// <summary>Widens consecutive numbers of a format without scales.</summary>
    public static void Widen(KvFormat format, byte* from, long first, int count, float* to)
    {
        switch (format)
        {
            case KvFormat.F32:
                new ReadOnlySpan<float>((float*)from + first, count).CopyTo(new Span<float>(to, count));
                break;
            case KvFormat.F16:
                for (var i = 0; i < count; i += 8) HalfFloat.Load((ushort*)from + first + i).Store(to + i);
                break;
            case KvFormat.BF16:
                for (var i = 0; i < count; i += 8) Vector256.ShiftLeft(Widen(Vector128.Load((ushort*)from + first + i)), 16).AsSingle().Store(to + i);
                break;
            default:
                for (var i = 0; i < count; i += 8) Float8s(from + first + i).Store(to + i);
                break;
        }
    }

    /// <summary>Widens 16 values of each of some tokens.</summary>
    /// <param name="format">How they are stored.</param>
    /// <param name="head">The block's values of a head.</param>
    /// <param name="size">Values of the head.</param>
    /// <param name="group">Which 16 values.</param>
    /// <param name="tokens">How many tokens.</param>
    /// <param name="to">Receives [tokens][16].</param>
    public static void WidenValues(KvFormat format, byte* head, int size, int group, int tokens, float* to)
    {
        if (!KvLayout.IsQuantized(format))
        {
            Widen(format, head, group * 256L, tokens * 16, to);
            return;
        }

        var scales = (ushort*)head + group / 2 * 16;
        var codes = head + KvLayout.ScaleBytes(size);
        for (var token = 0; token < tokens; token++)
        {
            var scale = Vector256.Create(HalfFloat.ToSingle(scales[token]));
            var (low, high) = format == KvFormat.Q8_0
                ? Widen(Vector128.LoadUnsafe(ref codes[group / 2 * 512 + token * 32 + group % 2 * 16]).AsSByte())
                : Widen(Nibbles(codes + group / 2 * 256 + token * 16, group % 2));
            (Vector256.ConvertToSingle(low) * scale).Store(to + token * 16);
            (Vector256.ConvertToSingle(high) * scale).Store(to + token * 16 + 8);
        }
    }

    private static Vector128<sbyte> Nibbles(byte* at, int half)
    {
        var both = Vector128.Load(at);
        if (half == 1) both = Vector128.ShiftRightLogical(both.AsUInt32(), 4).AsByte();
        return (both & Vector128.Create((byte)15)).AsSByte() - Vector128.Create((sbyte)8);
    }

    /// <summary>The code's bits in F16, which are a 256th of the number: whoever multiplies makes up for it (<see cref="KvLayout.Unit"/>).</summary>
    private static Vector256<float> Float8s(byte* at)
    {
        var code = Widen(Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)at).AsByte()));
        var half = Vector256.ShiftLeft(code & Vector256.Create(0x80u), 8) | Vector256.ShiftLeft(code & Vector256.Create(0x7Fu), 7);
        return HalfFloat.ToSingle(half);
    }

    private static Vector256<uint> Widen(Vector128<ushort> narrow)
    {
        var (low, high) = Vector128.Widen(narrow);
        return Vector256.Create(low, high);
    }

    private static (Vector256<int> Low, Vector256<int> High) Widen(Vector128<sbyte> codes)
    {
        var (low, high) = Vector128.Widen(codes);
        var (a, b) = Vector128.Widen(low);
        var (c, d) = Vector128.Widen(high);
        return (Vector256.Create(a, b), Vector256.Create(c, d));
    }
}
