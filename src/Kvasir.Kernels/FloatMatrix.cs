namespace Kvasir.Kernels;

/// <summary>A borrowed row-major matrix of floats in native memory, [rows, columns]; rows may be further apart than they are long.</summary>
public readonly unsafe struct FloatMatrix
{
    internal FloatMatrix(float* start, int rows, int columns, int stride)
    {
        Start = start;
        (Rows, Columns, Stride) = (rows, columns, stride);
    }

    internal float* Start { get; }

    /// <summary>Rows (tokens).</summary>
    public int Rows { get; }

    /// <summary>Values per row.</summary>
    public int Columns { get; }

    /// <summary>Floats from one row's start to the next one's.</summary>
    public int Stride { get; }

    /// <summary>Row <paramref name="row"/> as a span.</summary>
    public Span<float> Row(int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Rows, nameof(row));
        return new Span<float>(Start + (long)row * Stride, Columns);
    }

    /// <summary>The first <paramref name="rows"/> rows.</summary>
    public FloatMatrix Top(int rows) => SliceRows(0, rows);

    /// <summary>Rows [first, first + count).</summary>
    public FloatMatrix SliceRows(int first, int count)
    {
        if (first < 0 || count < 0 || first + count > Rows)
            throw new ArgumentOutOfRangeException(nameof(first), $"Rows {first}..{first + count} are outside {Rows}.");
        return new FloatMatrix(Start + (long)first * Stride, count, Columns, Stride);
    }

    /// <summary>Columns [first, first + count) of every row, e.g. K within a fused QKV row.</summary>
    public FloatMatrix SliceColumns(int first, int count)
    {
        if (first < 0 || count < 0 || first + count > Columns)
            throw new ArgumentOutOfRangeException(nameof(first), $"Columns {first}..{first + count} are outside {Columns}.");
        return new FloatMatrix(Start + first, Rows, count, Stride);
    }

    internal float* RowStart(int row) => Start + (long)row * Stride;

    internal void RequireShape(int rows, int columns, string name)
    {
        if (Rows < rows || Columns != columns)
            throw new ArgumentException($"{name} is [{Rows}, {Columns}], expected [{rows}, {columns}].", name);
    }
}
