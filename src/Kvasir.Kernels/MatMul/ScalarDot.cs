namespace Kvasir.Kernels;

/// <summary>The definition, one product at a time.</summary>
internal readonly unsafe struct ScalarDot : IBlockDot
{
    public static string Name => "scalar";

    public static void Dot(sbyte* tile, sbyte* x, int vectors, int* sums)
    {
        for (var row = 0; row < PackedForm.GroupRows; row++)
        {
            var sum = 0;
            for (var v = 0; v < vectors; v++)
                for (var i = 0; i < 4; i++)
                    sum += tile[64 * v + 4 * row + i] * x[4 * v + i];
            sums[row] = sum;
        }
    }
}
