using System.Diagnostics;
using Kvasir.Kernels;

namespace Kvasir.Benchmarks;

/// <summary>Matrix products as a decoder runs them, against what the machine can read and multiply at best, in one run.</summary>
internal static class KernelBenchmark
{
    private const int Columns = 2048;
    private const long StreamBytes = 128L << 20;

    public static int Run(string[] args)
    {
        var threads = args.Length > 0 ? int.Parse(args[0]) : Environment.ProcessorCount;
        var formats = args.Length > 1 ? Array.ConvertAll(args[1..], Enum.Parse<WeightFormat>) : Enum.GetValues<WeightFormat>();
        using var team = new WorkerTeam(threads);
        using var memory = new NativeBuffer(StreamBytes + (64 << 20));
        Console.WriteLine($"{KernelCatalog.CurrentName}, {threads} threads; matrices of {Columns} columns, {StreamBytes >> 20} MiB of weights");
        foreach (var format in formats) Measure(team, memory, format);
        return 0;
    }

    private static void Measure(WorkerTeam team, NativeBuffer memory, WeightFormat format)
    {
        var rowBytes = WeightMatrix.PackedBytes(format, 16, Columns) / 16;
        var rows = (int)(StreamBytes / rowBytes) / 16 * 16;
        var large = WeightMatrix.Packed(format, rows, Columns, memory.All);
        Fill(large, rows, format);
        var limit = MemoryProbe.BytesPerSecond(team, memory.Slice(0, StreamBytes), 40);
        var decode = new double[2];
        int[] batches = [1, 8];
        for (var i = 0; i < batches.Length; i++)
            decode[i] = rows * (double)rowBytes / Best(team, large, batches[i]);
        const int prefillRows = 512, prefillTokens = 512;
        var small = WeightMatrix.Packed(format, prefillRows, Columns, memory.All);
        Fill(small, prefillRows, format);
        var prefill = 2.0 * prefillRows * Columns * prefillTokens / Best(team, small, prefillTokens);
        Console.WriteLine($"{format,-7} read {limit / 1e9,5:F1} GB/s   decode 1: {decode[0] / 1e9,5:F1} GB/s {decode[0] / limit,4:P0}   " +
            $"decode 8: {decode[1] / 1e9,5:F1} GB/s = {8 * decode[1] / decode[0]:F1} × batch 1   prefill {prefill / 1e9,6:F0} GOP/s");
    }

    private static double Best(WorkerTeam team, WeightMatrix weights, int tokens)
    {
        using var input = new NativeBuffer(tokens * Columns * 4L);
        using var output = new NativeBuffer(tokens * (long)weights.Rows * 4);
        using var activations = new Activations(tokens, Columns);
        var x = input.Floats(tokens, Columns);
        var random = new Random(1);
        for (var t = 0; t < tokens; t++)
            foreach (ref var value in x.Row(t)) value = (float)random.NextDouble() - 0.5f;
        var to = output.Floats(tokens, weights.Rows);
        team.Run(worker => activations.Prepare(worker, x, weights.Needs));
        var best = double.MaxValue;
        Action<Worker> product = worker => MatrixProduct.Multiply(worker, weights, activations, to);
        for (var repeat = 0; repeat < 40; repeat++)
        {
            var start = Stopwatch.GetTimestamp();
            team.Run(product);
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return best;
    }

    private static void Fill(WeightMatrix weights, int rows, WeightFormat format)
    {
        var bytes = new byte[256 * format.RowBytes(Columns)];
        new Random(2).NextBytes(bytes);
        if (format is WeightFormat.F32 or WeightFormat.F16 or WeightFormat.BF16)
            for (var i = 0; i < bytes.Length; i++) bytes[i] &= 0x3B; // ordinary magnitudes: no NaN, few subnormals
        for (var row = 0; row < rows; row += 256)
            weights.PackRows(row, bytes.AsSpan(0, (int)(Math.Min(256, rows - row) * format.RowBytes(Columns))));
    }
}
