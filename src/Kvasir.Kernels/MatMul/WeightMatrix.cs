using System.Runtime.InteropServices;

namespace Kvasir.Kernels;

/// <summary>
/// A weight matrix [rows (outputs), columns (inputs)], either packed for the kernels in memory of the caller's
/// (<see cref="Packed(WeightFormat, int, int, NativeSlice)"/>, then <see cref="PackRows"/>), or left in the file's layout and packed bit by bit whenever it
/// is used (<see cref="Mapped"/>). Both give the same bits. Columns are whole blocks of the format.
/// </summary>
public sealed unsafe class WeightMatrix
{
    /// <summary>Rows are packed in groups of this many.</summary>
    public const int GroupRows = PackedForm.GroupRows;

    private readonly bool[]? _packedGroups;

    private WeightMatrix(WeightFormat format, int rows, int columns, byte* start, bool packed, MatrixKernels kernels)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        Form = PackedForm.Of(format);
        Start = start;
        (Format, Rows, Columns, IsPacked) = (format, rows, columns, packed);
        RowBytes = format.RowBytes(columns);
        Kernels = kernels;
        Kernels.Warm(Form);
        if (packed) _packedGroups = new bool[Groups];
    }

    /// <summary>The format of the weights' values.</summary>
    public WeightFormat Format { get; }

    /// <summary>Outputs.</summary>
    public int Rows { get; }

    /// <summary>Inputs.</summary>
    public int Columns { get; }

    /// <summary>False for a matrix used in the file's layout.</summary>
    public bool IsPacked { get; }

    /// <summary>The form in which the kernels want this matrix's activations.</summary>
    public ActivationForms Needs => Kernels.FormFor(Form);

    internal PackedForm Form { get; }

    internal MatrixKernels Kernels { get; }

    internal byte* Start { get; }

    internal long RowBytes { get; }

    internal int Groups => (Rows + GroupRows - 1) / GroupRows;

    internal long GroupBytes => Form.GroupBytes(Columns);

    /// <summary>Bytes that a packed matrix takes: the file's, rounded up to 16 rows, and at most 4 % more (Q3_K).</summary>
    public static long PackedBytes(WeightFormat format, int rows, int columns)
    {
        _ = format.RowBytes(columns);
        return (rows + GroupRows - 1L) / GroupRows * PackedForm.Of(format).GroupBytes(columns);
    }

    /// <summary>A matrix to be packed into <paramref name="memory"/> of at least <see cref="PackedBytes"/>, 64-byte aligned.</summary>
    public static WeightMatrix Packed(WeightFormat format, int rows, int columns, NativeSlice memory) =>
        Packed(format, rows, columns, memory, KernelCatalog.Current);

    internal static WeightMatrix Packed(WeightFormat format, int rows, int columns, NativeSlice memory, MatrixKernels kernels)
    {
        var bytes = PackedBytes(format, rows, columns);
        if (memory.Bytes < bytes || ((nint)memory.Start & 63) != 0)
            throw new ArgumentException($"{format} [{rows}, {columns}] needs {bytes} bytes aligned to 64, not {memory.Bytes} at {(nint)memory.Start:x}.");
        return new WeightMatrix(format, rows, columns, memory.Start, packed: true, kernels);
    }

    /// <summary>A matrix used where it lies, e.g. in a mapped file, which must outlive it.</summary>
    /// <param name="format">The file's format.</param>
    /// <param name="rows">Outputs.</param>
    /// <param name="columns">Inputs.</param>
    /// <param name="address">First row; rows follow each other without gaps.</param>
    public static WeightMatrix Mapped(WeightFormat format, int rows, int columns, nint address) =>
        new(format, rows, columns, (byte*)address, packed: false, KernelCatalog.Current);

    /// <summary>Packs rows from the file's layout. Calls for different rows may run at once.</summary>
    /// <param name="firstRow">A multiple of 16.</param>
    /// <param name="source">Whole rows; a multiple of 16 of them, or all to the end.</param>
    public void PackRows(int firstRow, ReadOnlySpan<byte> source)
    {
        if (_packedGroups is null) throw new InvalidOperationException("A mapped matrix is not packed.");
        var count = checked((int)(source.Length / RowBytes));
        if (firstRow % GroupRows != 0 || count * RowBytes != source.Length || firstRow + count > Rows
            || (count % GroupRows != 0 && firstRow + count != Rows))
            throw new ArgumentException($"{source.Length} bytes at row {firstRow} are not whole groups of 16 rows of {RowBytes} bytes in {Rows} rows.");
        fixed (byte* from = source)
            for (var row = 0; row < count; row += GroupRows)
            {
                var group = (firstRow + row) / GroupRows;
                Packer.PackGroup(Form, from + row * RowBytes, Math.Min(GroupRows, count - row), Columns, Start + group * GroupBytes);
                _packedGroups[group] = true;
            }
    }

    /// <summary>True when every row has been packed (always, for a mapped matrix).</summary>
    public bool IsComplete => _packedGroups is null || Array.TrueForAll(_packedGroups, static packed => packed);

    /// <summary>Row <paramref name="row"/> as floats, e.g. a token's embedding.</summary>
    public void ReadRow(int row, Span<float> values)
    {
        if ((uint)row >= (uint)Rows || values.Length != Columns)
            throw new ArgumentException($"Row {row} of {values.Length} values is not in a matrix [{Rows}, {Columns}].");
        fixed (float* to = values)
        {
            if (!IsPacked) Dequantizer.Row(Format, Start + row * RowBytes, to, Columns);
            else PackedRow.Read(Form, Start + row / GroupRows * GroupBytes, row % GroupRows, Columns, to);
        }
    }
}
