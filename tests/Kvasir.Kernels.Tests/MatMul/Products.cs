namespace Kvasir.Kernels.Tests.MatMul;

/// <summary>Runs products the way an engine does, and a float64 reference beside them.</summary>
internal static class Products
{
    public static float[] Run(WeightMatrix weights, float[] x, int tokens, int workers = 1)
    {
        using var team = new WorkerTeam(workers);
        using var input = new NativeBuffer(x.Length * 4);
        using var result = new NativeBuffer((long)tokens * weights.Rows * 4);
        using var activations = new Activations(tokens, weights.Columns);
        var from = input.Floats(tokens, weights.Columns);
        var to = result.Floats(tokens, weights.Rows);
        for (var t = 0; t < tokens; t++) x.AsSpan(t * weights.Columns, weights.Columns).CopyTo(from.Row(t));
        team.Run(worker =>
        {
            activations.Prepare(worker, from, weights.Needs);
            worker.Barrier();
            MatrixProduct.Multiply(worker, weights, activations, to);
        });
        var output = new float[tokens * weights.Rows];
        for (var t = 0; t < tokens; t++) to.Row(t).CopyTo(output.AsSpan(t * weights.Rows));
        return output;
    }

    public static (double Value, double Size)[] Reference(WeightFormat format, byte[] bytes, int rows, int columns, float[] x, int tokens)
    {
        var output = new (double, double)[tokens * rows];
        var row = new float[columns];
        for (var r = 0; r < rows; r++)
        {
            var rowBytes = (int)format.RowBytes(columns);
            Dequantizer.Row(format, bytes.AsSpan(r * rowBytes, rowBytes), row);
            for (var t = 0; t < tokens; t++)
            {
                double sum = 0, size = 0;
                for (var c = 0; c < columns; c++)
                {
                    sum += (double)row[c] * x[t * columns + c];
                    size += Math.Abs((double)row[c]);
                }

                output[t * rows + r] = (sum, size);
            }
        }

        return output;
    }
}
