namespace Kvasir.Kernels;

/// <summary>Reads single rows out of packed groups.</summary>
internal static unsafe class PackedRow
{
    private const int Rows = PackedForm.GroupRows;

    /// <summary>Row <paramref name="row"/> (0 … 15) of a group as floats, the same as the file's row dequantized.</summary>
    public static void Read(PackedForm form, byte* group, int row, int columns, float* values)
    {
        switch (form.Format)
        {
            case WeightFormat.F32:
                for (var k = 0; k < columns; k++) values[k] = ((float*)group)[k * Rows + row];
                return;
            case WeightFormat.F16:
                for (var k = 0; k < columns; k++) values[k] = HalfFloat.ToSingle(((ushort*)group)[k * Rows + row]);
                return;
            case WeightFormat.BF16:
                for (var k = 0; k < columns; k++)
                    values[k] = BitConverter.Int32BitsToSingle(((ushort*)group)[(k / 2 * Rows + row) * 2 + (k & 1)] << 16);
                return;
        }

        var tile = stackalloc sbyte[8 * 64];
        var scales = stackalloc float[Rows * 4];
        var codes = group + form.ScaleBytes(columns);
        var blocksPerUnit = form.UnitColumns / PackedForm.Block;
        for (var b = 0; b < columns / PackedForm.Block; b++, codes += form.BlockCodeBytes)
        {
            CodeTile.Unpack(form, codes, tile);
            CodeTile.Scales(form, group + (long)(b / blocksPerUnit) * form.UnitScaleBytes, b % blocksPerUnit, scales);
            for (var k = 0; k < PackedForm.Block; k++)
            {
                var part = k / (4 * form.VectorsPerScale) * 2 * Rows;
                var code = tile[64 * (k / 4) + 4 * row + k % 4];
                values[b * PackedForm.Block + k] = scales[part + row] * code - scales[part + Rows + row];
            }
        }
    }
}
