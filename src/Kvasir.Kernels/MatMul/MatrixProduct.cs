namespace Kvasir.Kernels;

/// <summary>Products of weights and activations: <c>output[t][r] = Σ_c weights[r][c] · x[t][c]</c>.</summary>
public static unsafe class MatrixProduct
{
    /// <summary>Weights that stay in a core's cache while the step's tokens pass over them.</summary>
    private const long PanelBytes = 256 << 10;

    /// <summary>
    /// Multiplies a matrix with the prepared activations. Every worker of the team calls it; rows go to whoever is
    /// free. A barrier must follow before the output is read. The bits of an output do not depend on the other tokens
    /// nor on the number of workers.
    /// </summary>
    /// <param name="worker">The calling worker.</param>
    /// <param name="weights">[rows, columns].</param>
    /// <param name="x">Prepared activations [tokens, columns] in the form the matrix needs.</param>
    /// <param name="output">Receives [tokens, rows].</param>
    public static void Multiply(Worker worker, WeightMatrix weights, Activations x, FloatMatrix output)
    {
        if (x.Columns != weights.Columns)
            throw new ArgumentException($"Activations have {x.Columns} columns, the weights {weights.Columns}.");
        output.RequireShape(x.Tokens, weights.Rows, nameof(output));
        var perChunk = GroupsPerChunk(weights, x.Tokens, worker.Count);
        var loop = worker.Loop((weights.Groups + perChunk - 1) / perChunk);
        while (loop.TryNext(out var chunk))
        {
            var first = chunk * perChunk;
            var count = Math.Min(perChunk, weights.Groups - first);
            if (weights.IsPacked) Panel(weights, weights.Start + first * weights.GroupBytes, first, count, x, output);
            else PackThenMultiply(worker, weights, first, count, x, output);
        }
    }

    private static int GroupsPerChunk(WeightMatrix weights, int tokens, int workers)
    {
        // Few tokens: long streams, yet several chunks per worker so that none waits long for another. Many: a panel.
        var fair = Math.Max(1, weights.Groups / (workers * (tokens <= 16 ? 8 : 4)));
        var cached = (int)Math.Max(1, PanelBytes / weights.GroupBytes);
        return tokens <= 16 && weights.IsPacked ? Math.Min(fair, 64) : Math.Min(fair, cached);
    }

    private static void PackThenMultiply(Worker worker, WeightMatrix weights, int first, int count, Activations x, FloatMatrix output)
    {
        var panel = worker.Scratch(count * weights.GroupBytes).Start;
        for (var g = 0; g < count; g++)
        {
            var row = (first + g) * WeightMatrix.GroupRows;
            var rows = Math.Min(WeightMatrix.GroupRows, weights.Rows - row);
            Packer.PackGroup(weights.Form, weights.Start + row * weights.RowBytes, rows, weights.Columns, panel + g * weights.GroupBytes);
        }

        Panel(weights, panel, first, count, x, output);
    }

    private static void Panel(WeightMatrix weights, byte* groups, int first, int count, Activations x, FloatMatrix output)
    {
        var kernels = weights.Kernels;
        var form = weights.Form;
        var needs = kernels.FormFor(form);
        var last = weights.Rows - (first + count - 1) * WeightMatrix.GroupRows;
        var whole = last >= WeightMatrix.GroupRows ? count : count - 1;
        for (var token = 0; token < x.Tokens;)
        {
            var tile = Tile(x.Tokens - token, kernels.MaxTokens);
            var (start, stride) = x.Form(needs, token);
            var to = output.RowStart(token) + (long)first * WeightMatrix.GroupRows;
            if (whole > 0) Call(weights, groups, whole, 0xFFFF, (byte*)start, stride, to, output.Stride, tile);
            if (whole < count)
                Call(weights, groups + whole * weights.GroupBytes, 1, (1L << last) - 1, (byte*)start, stride, to + whole * WeightMatrix.GroupRows, output.Stride, tile);
            token += tile;
        }
    }

    /// <summary>Tokens of the next tile: full ones, except that a remainder is shared between the last two.</summary>
    internal static int Tile(int left, int most) => left > most && left < 2 * most ? (left + 1) / 2 : Math.Min(left, most);

    private static void Call(WeightMatrix weights, byte* groups, int count, long mask, byte* x, long xStride, float* output, int outputStride, int tokens)
    {
        var form = weights.Form;
        var arguments = new KernelArguments
        {
            Group = groups,
            GroupBytes = weights.GroupBytes,
            ScaleBytes = form.ScaleBytes(weights.Columns),
            X = x,
            XStride = xStride,
            Output = output,
            OutputStride = outputStride * sizeof(float),
            Steps = form.Format switch
            {
                WeightFormat.F32 or WeightFormat.F16 => weights.Columns,
                WeightFormat.BF16 => (weights.Columns + 1) / 2,
                _ => weights.Columns / form.UnitColumns,
            },
            Groups = count,
            Mask = mask,
            OutputGroupStride = 64,
        };
        weights.Kernels.Multiply(form, &arguments, tokens);
    }
}
