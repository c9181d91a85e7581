using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>Unpacks one block of 32 columns × 16 rows from the packed layout, for the strategies written in C#.</summary>
internal static unsafe class CodeTile
{
    private const int Rows = PackedForm.GroupRows;

    /// <summary>Writes the signed weights (level − offset) as eight vectors [16 rows][4 columns].</summary>
    public static void Unpack(PackedForm form, byte* codes, sbyte* tile)
    {
        var offset = Vector256.Create((byte)form.Offset);
        if (form.LowBits == 8)
        {
            for (var at = 0; at < 512; at += 32) (Vector256.Load(codes + at) - offset).Store((byte*)tile + at);
            return;
        }

        if (form.LowBits == 4) UnpackNibbles(codes, (byte*)tile);
        else UnpackPairs(codes, (byte*)tile, Vector256.Create((byte)3), 0);
        var high = codes + 64 * form.LowBits;
        if (form.HighBits == 1) UnpackBits(high, (byte*)tile, form.LowBits);
        if (form.HighBits == 2) UnpackPairs(high, (byte*)tile, Vector256.Create((byte)0x30), 4);
        if (form.HasLevels) Lookup(Vector128.Create(form.Levels), (byte*)tile);
        if (form.Offset == 0) return;
        for (var at = 0; at < 512; at += 32) (Vector256.Load((byte*)tile + at) - offset).Store((byte*)tile + at);
    }

    private static void UnpackNibbles(byte* codes, byte* tile)
    {
        var mask = Vector256.Create((byte)0x0F);
        for (var at = 0; at < 256; at += 32)
        {
            var both = Vector256.Load(codes + at);
            (both & mask).Store(tile + at);
            (Vector256.ShiftRightLogical(both.AsUInt32(), 4).AsByte() & mask).Store(tile + 256 + at);
        }
    }

    /// <summary>Two-bit fields to bit <paramref name="position"/> (0 or 4), added to what is there when it is 4.</summary>
    private static void UnpackPairs(byte* plane, byte* tile, Vector256<byte> mask, int position)
    {
        for (var at = 0; at < 128; at += 32)
        {
            // Vectors 4i … 4i + 3 of plane i lie 64 bytes apart, 256 for the next plane.
            var fields = Vector256.Load(plane + at).AsUInt32();
            var to = tile + at / 64 * 256 + at % 64;
            for (var s = 0; s < 4; s++)
            {
                var turned = 2 * s >= position ? Vector256.ShiftRightLogical(fields, 2 * s - position) : Vector256.ShiftLeft(fields, position - 2 * s);
                var value = turned.AsByte() & mask;
                (position == 0 ? value : value | Vector256.Load(to + 64 * s)).Store(to + 64 * s);
            }
        }
    }

    private static void UnpackBits(byte* plane, byte* tile, int position)
    {
        var mask = Vector256.Create((byte)(1 << position));
        for (var at = 0; at < 64; at += 32)
        {
            var bits = Vector256.Load(plane + at).AsUInt32();
            for (var j = 0; j < 8; j++)
            {
                var turned = j >= position ? Vector256.ShiftRightLogical(bits, j - position) : Vector256.ShiftLeft(bits, position - j);
                (turned.AsByte() & mask | Vector256.Load(tile + 64 * j + at)).Store(tile + 64 * j + at);
            }
        }
    }

    private static void Lookup(Vector128<byte> levels, byte* tile)
    {
        for (var at = 0; at < 512; at += 16) Vector128.Shuffle(levels, Vector128.Load(tile + at)).Store(tile + at);
    }

    /// <summary>
    /// Scales and minima of block <paramref name="block"/> of a unit, as floats: 16 scales, 16 minima, and the same
    /// again for the second half of the block where the format has scales per 16 columns.
    /// </summary>
    public static void Scales(PackedForm form, byte* unit, int block, float* scales)
    {
        var half = (ushort*)unit;
        var parts = 8 / form.VectorsPerScale;
        for (var part = 0; part < parts; part++, scales += 2 * Rows)
            for (var lane = 0; lane < Rows; lane += 8)
            {
                var d = form.Scales == ScaleKind.Exponent ? Exponents(unit + lane) : HalfFloat.Load(half + lane);
                var minimum = form.HasMinimum ? HalfFloat.Load(half + Rows + lane) : default;
                var index = block * parts + part;
                switch (form.Scales)
                {
                    case ScaleKind.SixBit:
                        var low = Bytes(unit + 64 + Rows * block + lane);
                        var high = Vector256.ShiftRightLogical(Bytes(unit + 192 + Rows * (block / 2) + lane), 4 * (block & 1));
                        d *= Vector256.ConvertToSingle((low & Vector256.Create(15)) | Vector256.ShiftLeft(high & Vector256.Create(3), 4));
                        minimum *= Vector256.ConvertToSingle(Vector256.ShiftRightLogical(low, 4) | Vector256.ShiftLeft(high & Vector256.Create(12), 2));
                        break;
                    case ScaleKind.Nibble16:
                        var both = Bytes(unit + 64 + Rows * index + lane);
                        d *= Vector256.ConvertToSingle(both & Vector256.Create(15));
                        minimum *= Vector256.ConvertToSingle(Vector256.ShiftRightLogical(both, 4));
                        break;
                    case ScaleKind.Byte16 or ScaleKind.Byte32:
                        d *= Vector256.ConvertToSingle(SignedBytes(unit + 32 + Rows * index + lane));
                        break;
                }

                d.Store(scales + lane);
                minimum.Store(scales + Rows + lane);
            }
    }

    private static Vector256<int> Bytes(byte* at)
    {
        var (low, high) = Vector128.Widen(Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)at).AsByte()));
        return Vector256.Create(low, high).AsInt32();
    }

    private static Vector256<int> SignedBytes(byte* at)
    {
        var (low, high) = Vector128.Widen(Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)at).AsSByte()));
        return Vector256.Create(low, high);
    }

    private static Vector256<float> Exponents(byte* at) => Vector256.ShiftLeft(Bytes(at), 23).AsSingle() * Vector256.Create(0.5f);
}
