using Kvasir.Kernels.Generated;
using Kvasir.Kernels.Tests.MatMul;

namespace Kvasir.Kernels.Tests.Attention;

/// <summary>Kernels of keys and values in every format, strategy by strategy.</summary>
public sealed unsafe class KvKernelTests
{
    private const int Stride = 160, Most = 12;

    public static TheoryData<KvFormat> Formats() => new(Enum.GetValues<KvFormat>());

    [Theory, MemberData(nameof(Formats))]
    public void Every_strategy_gives_the_bits_of_the_scalar_definition(KvFormat format)
    {
        // Sizes and counts that leave remainders everywhere.
        foreach (var (size, keys) in new[] { (16, 3), (20, 17), (64, 128), (80, 100), (96, 48), (128, 127) })
        {
            var expected = Run("scalar", format, size, keys);
            foreach (var strategy in KernelCatalog.Strategies.Where(strategy => strategy.IsAvailable))
            {
                // Some take fewer rows at once.
                var actual = Run(strategy.Name, format, size, keys);
                Assert.Equal(expected[..actual.Length], actual);
            }
        }
    }

    [Theory, MemberData(nameof(Formats))]
    public void Kernels_for_AVX2_use_nothing_beyond_it(KvFormat format)
    {
        var kernels = new Generated256(ByteProducts.Pairs);
        for (var rows = 1; rows <= Frame256.MaxTokens; rows++)
            for (var width = 1; width <= 4; width *= 2)
            {
                if (!KvLayout.IsQuantized(format) && kernels.WriteKeys(format, rows, width) is { } keys) GeneratedKernelTests.RequireAvx2(keys.Assemble());
                if (KvLayout.IsQuantized(format) && width == 1) GeneratedKernelTests.RequireAvx2(kernels.WriteListed(KvLayout.KeyForm(format), rows).Assemble());
                if (!(KvLayout.IsQuantized(format) && width == 1) && kernels.WriteValues(format, rows, width) is { } values) GeneratedKernelTests.RequireAvx2(values.Assemble());
            }
    }

    [Theory, MemberData(nameof(Formats))]
    public void A_token_alone_gets_back_what_the_definition_stores(KvFormat format)
    {
        foreach (var size in (float[])[1e-9f, 1e-3f, 1, 400, 3e4f])
        {
            const int columns = 48;
            using var team = new WorkerTeam(1);
            using var memory = new NativeBuffer(1 << 16);
            var layout = new KvLayout(1, columns, columns, format);
            var pool = new KvPool(layout, 1, memory.Slice(0, layout.KeyBlockBytes), memory.Slice(1 << 14, layout.ValueBlockBytes));
            var values = RandomWeights.Values(columns, 1, size);
            var (numbers, output) = (memory.Floats(1, columns, 1 << 15), memory.Floats(1, columns, 3 << 14));
            values.CopyTo(numbers.Row(0));
            team.Run(worker =>
            {
                pool.Write(worker, numbers, numbers, [5]);
                worker.Barrier();
                // The softmax of a single key is one; that of place 5 alone, for the window hides the others.
                PagedAttention.Attend(worker, new AttentionShape(1, 1e-9f, Window: 1), pool, numbers, [new AttentionSpan(0, 1, 5, 0)], [0], output);
            });
            Assert.Equal(Stored.Heads(format, values, columns), output.Row(0).ToArray());
        }
    }

    private static int[] Run(string strategy, KvFormat format, int size, int keys)
    {
        var layout = new KvLayout(1, size, size, format);
        var count = (keys + 15) / 16;
        using var memory = new NativeBuffer(count * layout.BlockBytes + 64);
        new Random(5).NextBytes(memory.All.AsSpan(0, (int)(count * layout.BlockBytes)));
        var pool = new KvPool(layout, count, memory.Slice(0, count * layout.KeyBlockBytes), memory.Slice(count * layout.KeyBlockBytes, count * layout.ValueBlockBytes));
        Fill(pool, size, keys);
        using var numbers = new NativeBuffer(Most * Stride * 4);
        using var records = new NativeBuffer(Most * Stride * 4);
        using var output = new NativeBuffer(Most * Stride * 4);
        var list = stackalloc byte*[count + 1];
        var bits = new List<int>();
        for (var rows = 1; rows <= KernelCatalog.Create(strategy).MaxTokens && rows <= Most; rows++)
            foreach (var values in (bool[])[false, true])
            {
                // From last to first: a block's place is not its number.
                for (var i = 0; i <= count; i++) list[i] = values ? pool.ValueHead(Math.Max(0, count - 1 - i), 0) : pool.KeyHead(Math.Max(0, count - 1 - i), 0);
                Multiply(KernelCatalog.Create(strategy), layout, list, rows, keys, values, (numbers, records, output));
                var (seen, width) = (output.Floats(Most, Stride), values ? size : keys);
                for (var row = 0; row < rows; row++)
                    foreach (var value in seen.Row(row)[..width]) bits.Add(BitConverter.SingleToInt32Bits(value));
            }

        return [.. bits];
    }

    private static void Multiply(MatrixKernels kernels, KvLayout layout, byte** list, int rows, int keys, bool values, (NativeBuffer Numbers, NativeBuffer Records, NativeBuffer Output) memory)
    {
        var x = memory.Numbers.Floats(Most, Stride);
        for (var row = 0; row < rows; row++) RandomWeights.Values(Stride, row + 9).CopyTo(x.Row(row));
        if (!values)
            for (var row = 0; row < rows; row++) x.Row(row)[layout.KeySize..].Clear();
        var quantized = !values && KvLayout.IsQuantized(layout.Format.Keys);
        for (var row = 0; row < rows; row++)
            if (quantized) Activations.Quantize(x.RowStart(row), memory.Records.All.Start + row * Stride * 4, Stride);
        RandomWeights.Values(Most * Stride, 3).CopyTo(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(memory.Output.All.AsSpan(0, Most * Stride * 4)));
        var arguments = new KernelArguments
        {
            Blocks = list, Groups = values ? layout.ValueGroups : (keys + 15) / 16, Steps = values ? keys : layout.KeySize,
            X = quantized ? memory.Records.All.Start : (byte*)x.RowStart(0), XStride = Stride * 4,
            Output = memory.Output.Floats(Most, Stride).RowStart(0), OutputStride = Stride * 4, OutputGroupStride = 64, Mask = 0xFFFF,
        };
        if (values) kernels.AddValues(layout.Format.Values, &arguments, rows);
        else kernels.Score(layout.Format.Keys, &arguments, rows);
    }

    private static void Fill(KvPool pool, int size, int keys)
    {
        using var team = new WorkerTeam(1);
        using var rows = new NativeBuffer(keys * size * 4L);
        var matrix = rows.Floats(keys, size);
        for (var key = 0; key < keys; key++) RandomWeights.Values(size, key, 2).CopyTo(matrix.Row(key));
        team.Run(worker => pool.Write(worker, matrix, matrix, [.. Enumerable.Range(0, keys)]));
    }
}
