namespace Kvasir.Kernels;

/// <summary>Turns rows of a file's layout into floats: the scalar definition that kernels are tested against, and the embedding lookup's.</summary>
public static unsafe class Dequantizer
{
    /// <summary>One row.</summary>
    /// <param name="format">The file's format.</param>
    /// <param name="row">The row's bytes, <see cref="WeightFormats.RowBytes"/> of <paramref name="values"/>' length.</param>
    /// <param name="values">Receives the row.</param>
    public static void Row(WeightFormat format, ReadOnlySpan<byte> row, Span<float> values)
    {
        if (row.Length < format.RowBytes(values.Length))
            throw new ArgumentException($"{row.Length} bytes do not hold {values.Length} {format} weights.");
        fixed (byte* from = row)
        fixed (float* to = values)
            Row(format, from, to, values.Length);
    }

    internal static void Row(WeightFormat format, byte* row, float* values, int columns)
    {
        switch (format)
        {
            case WeightFormat.F32:
                new ReadOnlySpan<float>(row, columns).CopyTo(new Span<float>(values, columns));
                return;
            case WeightFormat.F16:
                for (var i = 0; i < columns; i++) values[i] = HalfFloat.ToSingle(((ushort*)row)[i]);
                return;
            case WeightFormat.BF16:
                for (var i = 0; i < columns; i++) values[i] = BitConverter.Int32BitsToSingle(((ushort*)row)[i] << 16);
                return;
        }

        var form = PackedForm.Of(format);
        var length = format.BlockLength();
        for (var block = 0; block < columns / length; block++)
            Block(form, row + (long)block * format.BlockBytes(), values + block * length, length);
    }

    private static void Block(PackedForm form, byte* block, float* values, int length)
    {
        var codes = stackalloc uint[64];
        var scales = stackalloc sbyte[16];
        var minima = stackalloc byte[16];
        FileBlock.ReadCodes(form.Format, block, codes);
        var (d, dmin) = FileBlock.ReadScales(form.Format, block, scales, minima);
        var scale = form.Scales == ScaleKind.Exponent ? Exponent(d) : HalfFloat.ToSingle(d);
        var minimum = form.HasMinimum ? HalfFloat.ToSingle(dmin) : 0;
        var perScale = form.VectorsPerScale * 4;
        for (var i = 0; i < length; i++)
        {
            int code = ((byte*)codes)[i];
            if (form.HasLevels) code = form.Levels[code];
            var (s, m) = length == 32 ? (scale, minimum) : (scale * scales[i / perScale], minimum * minima[i / perScale]);
            values[i] = s * (code - form.Offset) - m;
        }
    }

    /// <summary>Half of 2^(e−127): MXFP4's levels are stored doubled.</summary>
    internal static float Exponent(int e) => BitConverter.Int32BitsToSingle(e << 23) * 0.5f;
}
