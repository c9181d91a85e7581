namespace Kvasir.Kernels.Tests.MatMul;

public sealed unsafe class MatrixProductTests
{
    public static TheoryData<string, WeightFormat> StrategiesAndFormats()
    {
        var data = new TheoryData<string, WeightFormat>();
        foreach (var strategy in KernelCatalog.Strategies.Where(s => s.IsAvailable))
            foreach (var format in RandomWeights.Formats) data.Add(strategy.Name, format);
        return data;
    }

    public static TheoryData<WeightFormat> Formats() => new(RandomWeights.Formats);

    [Theory, MemberData(nameof(StrategiesAndFormats))]
    public void Every_strategy_agrees_with_the_reference_in_float64(string strategy, WeightFormat format)
    {
        foreach (var (rows, columns, tokens) in Shapes(format))
        {
            var bytes = RandomWeights.Rows(format, rows, columns, 1);
            var x = RandomWeights.Values(tokens * columns, 2);
            using var memory = new NativeBuffer(WeightMatrix.PackedBytes(format, rows, columns));
            var weights = WeightMatrix.Packed(format, rows, columns, memory.All, KernelCatalog.Create(strategy));
            weights.PackRows(0, bytes);
            var expected = Products.Reference(format, bytes, rows, columns, x, tokens);
            var actual = Products.Run(weights, x, tokens);
            // Activations up to 1 are rounded to 1/254 at most (int8), 1/512 (BF16) or not at all.
            var rounding = weights.Needs switch { ActivationForms.Quantized => 1 / 254.0, ActivationForms.BFloat16 => 1 / 512.0, _ => 1e-6 };
            for (var i = 0; i < actual.Length; i++)
                Assert.True(Math.Abs(actual[i] - expected[i].Value) <= rounding * expected[i].Size + 1e-6,
                    $"{strategy} {format} [{rows}, {columns}] × {tokens}, output {i}: {actual[i]}, expected {expected[i].Value}");
        }
    }

    [Theory, MemberData(nameof(StrategiesAndFormats))]
    public void Every_strategy_gives_the_bits_of_the_scalar_definition(string strategy, WeightFormat format)
    {
        foreach (var (rows, columns, tokens) in Shapes(format))
        {
            var bytes = RandomWeights.Rows(format, rows, columns, 3);
            var x = RandomWeights.Values(tokens * columns, 4);
            using var memory = new NativeBuffer(WeightMatrix.PackedBytes(format, rows, columns));
            var kernels = KernelCatalog.Create(strategy);
            Assert.SkipWhen(kernels.FormFor(PackedForm.Of(format)) == ActivationForms.BFloat16, "The processor's own BF16 product rounds differently.");
            var weights = WeightMatrix.Packed(format, rows, columns, memory.All, kernels);
            weights.PackRows(0, bytes);
            var scalar = WeightMatrix.Packed(format, rows, columns, memory.All, KernelCatalog.Create("scalar"));
            Assert.Equal(Bits(Products.Run(scalar, x, tokens)), Bits(Products.Run(weights, x, tokens)));
        }
    }

    [Theory, MemberData(nameof(Formats))]
    public void A_token_has_the_same_bits_in_every_batch_and_with_any_number_of_workers(WeightFormat format)
    {
        const int rows = 77, tokens = 29;
        var columns = format.BlockLength() == 1 ? 67 : 512;
        var bytes = RandomWeights.Rows(format, rows, columns, 5);
        var x = RandomWeights.Values(tokens * columns, 6);
        using var memory = new NativeBuffer(WeightMatrix.PackedBytes(format, rows, columns));
        var weights = WeightMatrix.Packed(format, rows, columns, memory.All);
        weights.PackRows(0, bytes);
        var whole = Bits(Products.Run(weights, x, tokens, workers: 3));
        for (var batch = 1; batch < tokens; batch++)
        {
            var first = (tokens - batch) / 2;
            var part = Products.Run(weights, x[(first * columns)..((first + batch) * columns)], batch, workers: 1 + batch % 3);
            Assert.Equal(whole[(first * rows)..((first + batch) * rows)], Bits(part));
        }
    }

    [Theory, MemberData(nameof(Formats))]
    public void A_mapped_matrix_gives_the_bits_of_the_packed_one(WeightFormat format)
    {
        const int rows = 45, tokens = 3;
        var columns = format.BlockLength() == 1 ? 70 : 768;
        var bytes = RandomWeights.Rows(format, rows, columns, 7);
        var x = RandomWeights.Values(tokens * columns, 8);
        using var memory = new NativeBuffer(WeightMatrix.PackedBytes(format, rows, columns));
        var packed = WeightMatrix.Packed(format, rows, columns, memory.All);
        packed.PackRows(0, bytes.AsSpan(0, 16 * (int)format.RowBytes(columns)));
        packed.PackRows(16, bytes.AsSpan(16 * (int)format.RowBytes(columns)));
        Assert.True(packed.IsComplete);
        fixed (byte* start = bytes)
        {
            var mapped = WeightMatrix.Mapped(format, rows, columns, (nint)start);
            Assert.Equal(Bits(Products.Run(packed, x, tokens)), Bits(Products.Run(mapped, x, tokens, workers: 2)));
        }
    }

    [Theory, MemberData(nameof(Formats))]
    public void A_packed_row_reads_back_as_the_file_s_row(WeightFormat format)
    {
        const int rows = 21, columns = 512;
        var bytes = RandomWeights.Rows(format, rows, columns, 9);
        using var memory = new NativeBuffer(WeightMatrix.PackedBytes(format, rows, columns));
        var weights = WeightMatrix.Packed(format, rows, columns, memory.All);
        weights.PackRows(0, bytes);
        var expected = new float[columns];
        var actual = new float[columns];
        var rowBytes = (int)format.RowBytes(columns);
        for (var row = 0; row < rows; row++)
        {
            Dequantizer.Row(format, bytes.AsSpan(row * rowBytes, rowBytes), expected);
            weights.ReadRow(row, actual);
            Assert.Equal(expected, actual);
        }
    }

    [Theory, MemberData(nameof(Formats))]
    public void Packing_costs_at_most_four_percent(WeightFormat format)
    {
        var file = 4096 * format.RowBytes(2048);
        Assert.InRange(WeightMatrix.PackedBytes(format, 4096, 2048), file, file * 104 / 100);
    }

    private static IEnumerable<(int Rows, int Columns, int Tokens)> Shapes(WeightFormat format)
    {
        var block = format.BlockLength();
        foreach (var tokens in new[] { 1, 2, 5, 8, 13, 25 })
            yield return block == 1 ? (tokens % 2 == 0 ? 16 : 37, 61 + tokens, tokens) : (tokens % 2 == 0 ? 64 : 37, block * 3, tokens);
    }

    private static int[] Bits(float[] values) => Array.ConvertAll(values, BitConverter.SingleToInt32Bits);
}
