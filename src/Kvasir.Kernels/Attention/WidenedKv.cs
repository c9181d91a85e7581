namespace Kvasir.Kernels;

/// <summary>Products with keys and values by way of matrix kernels, block by block: formats that those do not know are widened to F32 first.</summary>
internal static unsafe class WidenedKv
{
    private const int Rows = PackedForm.GroupRows;

    /// <summary>Columns of keys widened at a time: 8 KiB.</summary>
    private const int ChunkColumns = 128;

    private static readonly PackedForm F32 = PackedForm.Of(WeightFormat.F32);

    /// <inheritdoc cref="MatrixKernels.Score"/>
    public static void Score(MatrixKernels kernels, KvFormat format, KernelArguments* a, int rows)
    {
        var tile = stackalloc float[ChunkColumns * Rows];
        for (var block = 0L; block < a->Groups; block++)
        {
            var part = *a;
            part.Groups = 1;
            part.Group = a->Blocks[block];
            part.Output = a->Output + block * Rows;
            if (KvLayout.IsQuantized(format))
            {
                part.ScaleBytes = KvLayout.ScaleBytes((int)a->Steps);
                part.Steps = (a->Steps + 31) / 32;
                kernels.Multiply(KvLayout.KeyForm(format), &part, rows);
                continue;
            }

            part.Group = (byte*)tile;
            for (var first = 0L; first < a->Steps; first += ChunkColumns)
            {
                var columns = (int)Math.Min(ChunkColumns, a->Steps - first);
                KvTile.Widen(format, a->Blocks[block], first * Rows, columns * Rows, tile);
                // A kernel may change its arguments.
                var chunk = part;
                chunk.X = a->X + first * sizeof(float);
                chunk.Steps = columns;
                if (first == 0) kernels.Multiply(F32, &chunk, rows);
                else kernels.MultiplyAdd(F32, &chunk, rows);
            }
        }
    }

    /// <inheritdoc cref="MatrixKernels.AddValues"/>
    public static void AddValues(MatrixKernels kernels, KvFormat format, KernelArguments* a, int rows)
    {
        var tile = stackalloc float[Rows * KvLayout.BlockTokens];
        for (var first = 0L; first < a->Steps; first += KvLayout.BlockTokens)
            for (var group = 0; group < a->Groups; group++)
            {
                var tokens = (int)Math.Min(KvLayout.BlockTokens, a->Steps - first);
                KvTile.WidenValues(format, a->Blocks[first / KvLayout.BlockTokens], (int)a->Groups * Rows, group, tokens, tile);
                var part = *a;
                part.Group = (byte*)tile;
                part.Groups = 1;
                part.Steps = tokens;
                part.X = a->X + first * sizeof(float);
                part.Output = a->Output + group * Rows;
                kernels.MultiplyAdd(F32, &part, rows);
            }
    }
}
