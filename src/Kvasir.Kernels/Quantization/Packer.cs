using System.Runtime.CompilerServices;

namespace Kvasir.Kernels;

/// <summary>Packs 16 rows of a file's layout into one group of the kernels' layout (<see cref="PackedForm"/>), losslessly.</summary>
internal static unsafe class Packer
{
    private const int Rows = PackedForm.GroupRows;

    /// <param name="form">Target layout.</param>
    /// <param name="source">First row in the file's layout.</param>
    /// <param name="rows">Rows present, 1 … 16; the rest of the group is zero.</param>
    /// <param name="columns">Weights per row.</param>
    /// <param name="group">Destination of <see cref="PackedForm.GroupBytes"/> bytes.</param>
    public static void PackGroup(PackedForm form, byte* source, int rows, int columns, byte* group)
    {
        if (rows < Rows) new Span<byte>(group, checked((int)form.GroupBytes(columns))).Clear();
        switch (form.Format)
        {
            case WeightFormat.F32: Interleave((uint*)source, rows, columns, (uint*)group); break;
            case WeightFormat.F16: Interleave((ushort*)source, rows, columns, (ushort*)group); break;
            case WeightFormat.BF16: InterleavePairs((ushort*)source, rows, columns, (ushort*)group); break;
            default: PackQuantized(form, source, rows, columns, group); break;
        }
    }

    private static void Interleave<T>(T* source, int rows, int columns, T* group) where T : unmanaged
    {
        for (var column = 0; column < columns; column++)
            for (var row = 0; row < rows; row++)
                group[column * Rows + row] = source[(long)row * columns + column];
    }

    private static void InterleavePairs(ushort* source, int rows, int columns, ushort* group)
    {
        if ((columns & 1) != 0)
            new Span<ushort>(group + (long)(columns / 2) * 2 * Rows, 2 * Rows).Clear();
        for (var column = 0; column < columns; column++)
            for (var row = 0; row < rows; row++)
                group[(column / 2 * Rows + row) * 2 + (column & 1)] = source[(long)row * columns + column];
    }

    private static void PackQuantized(PackedForm form, byte* source, int rows, int columns, byte* group)
    {
        var length = form.Format.BlockLength();
        var blockBytes = form.Format.BlockBytes();
        var rowBytes = form.Format.RowBytes(columns);
        var codes = group + form.ScaleBytes(columns);
        var words = stackalloc uint[64];
        for (var unit = 0; unit < columns / length; unit++)
            for (var row = 0; row < rows; row++)
            {
                var block = source + row * rowBytes + (long)unit * blockBytes;
                PackScales(form, block, group + (long)unit * form.UnitScaleBytes, row);
                FileBlock.ReadCodes(form.Format, block, words);
                for (var b = 0; b < length / PackedForm.Block; b++)
                {
                    var at = codes + ((long)unit * (length / PackedForm.Block) + b) * form.BlockCodeBytes;
                    PackCodes(form, words + 8 * b, (uint*)at + row);
                }
            }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PackCodes(PackedForm form, uint* v, uint* plane)
    {
        switch (form.LowBits)
        {
            case 8:
                for (var i = 0; i < 8; i++) plane[Rows * i] = v[i];
                return;
            case 4:
                for (var i = 0; i < 4; i++) plane[Rows * i] = v[i] & 0x0F0F0F0F | (v[i + 4] & 0x0F0F0F0F) << 4;
                break;
            default:
                PackTwoBits(v, plane, 0);
                break;
        }

        var high = plane + Rows * form.LowBits;
        if (form.HighBits == 2) PackTwoBits(v, high, 4);
        if (form.HighBits != 1) return;
        var bits = 0u;
        for (var i = 0; i < 8; i++) bits |= (v[i] >> form.LowBits & 0x01010101) << i;
        *high = bits;
    }

    private static void PackTwoBits(uint* v, uint* plane, int shift)
    {
        for (var i = 0; i < 2; i++)
        {
            var bits = 0u;
            for (var s = 0; s < 4; s++) bits |= (v[4 * i + s] >> shift & 0x03030303) << 2 * s;
            plane[Rows * i] = bits;
        }
    }

    private static void PackScales(PackedForm form, byte* block, byte* unit, int row)
    {
        var scales = stackalloc sbyte[16];
        var minima = stackalloc byte[16];
        var (d, minimum) = FileBlock.ReadScales(form.Format, block, scales, minima);
        if (form.Scales == ScaleKind.Exponent)
        {
            unit[row] = (byte)d;
            return;
        }

        ((ushort*)unit)[row] = d;
        switch (form.Scales)
        {
            case ScaleKind.HalfMin:
                // To subtract, as everywhere: the file adds it, so its sign was turned when read.
                ((ushort*)unit)[Rows + row] = minimum;
                break;
            case ScaleKind.SixBit:
                ((ushort*)unit)[Rows + row] = minimum;
                for (var b = 0; b < 8; b++) unit[64 + Rows * b + row] = (byte)((scales[b] & 15) + ((minima[b] & 15) << 4));
                for (var p = 0; p < 4; p++)
                    unit[192 + Rows * p + row] = (byte)(((byte)scales[2 * p] >> 4) + (minima[2 * p] >> 4 << 2)
                        + ((byte)scales[2 * p + 1] >> 4 << 4) + (minima[2 * p + 1] >> 4 << 6));
                break;
            case ScaleKind.Nibble16:
                ((ushort*)unit)[Rows + row] = minimum;
                for (var s = 0; s < 16; s++) unit[64 + Rows * s + row] = (byte)(scales[s] + (minima[s] << 4));
                break;
            case ScaleKind.Byte16:
                for (var s = 0; s < 16; s++) unit[32 + Rows * s + row] = (byte)scales[s];
                break;
            case ScaleKind.Byte32:
                for (var s = 0; s < 8; s++) unit[32 + Rows * s + row] = (byte)scales[s];
                break;
        }
    }
}
