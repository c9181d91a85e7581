using System.Runtime.CompilerServices;
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
        for (var lane = 0; lane < 64; lane += 32)
        {
            if (form.LowBits == 8)
            {
                for (var j = 0; j < 8; j++) (Vector256.Load(codes + 64 * j + lane) - offset).Store((byte*)tile + 64 * j + lane);
                continue;
            }

            var high = codes + 64 * form.LowBits + lane;
            for (var j = 0; j < 8; j++)
            {
                var v = form.LowBits == 4 ? Field(codes + 64 * (j & 3) + lane, j >> 2 << 2, 0x0F) : Field(codes + 64 * (j >> 2) + lane, 2 * (j & 3), 0x03);
                if (form.HighBits == 1) v |= Vector256.ShiftLeft(Field(high, j, 1).AsUInt32(), form.LowBits).AsByte();
                if (form.HighBits == 2) v |= Vector256.ShiftLeft(Field(high + 64 * (j >> 2), 2 * (j & 3), 3).AsUInt32(), 4).AsByte();
                if (form.HasLevels) v = Lookup(form, v);
                (v - offset).Store((byte*)tile + 64 * j + lane);
            }
        }
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Field(byte* at, int shift, byte mask) =>
        Vector256.ShiftRightLogical(Vector256.Load(at).AsUInt32(), shift).AsByte() & Vector256.Create(mask);

    private static Vector256<byte> Lookup(PackedForm form, Vector256<byte> v)
    {
        var levels = Vector128.Create(form.Levels);
        return Vector256.Create(Vector128.Shuffle(levels, v.GetLower()), Vector128.Shuffle(levels, v.GetUpper()));
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
