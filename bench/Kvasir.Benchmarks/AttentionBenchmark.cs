using System.Diagnostics;
using Kvasir.Kernels;

namespace Kvasir.Benchmarks;

/// <summary>Attention of one layer, 32 query heads on 8 KV heads of 64 in every format or the given ones: a prompt's chunk, and one token over a long context.</summary>
internal static class AttentionBenchmark
{
    private const int Heads = 32, KvHeads = 8, Size = 64;

    public static int Run(string[] args)
    {
        var threads = args.Length > 0 ? int.Parse(args[0]) : Environment.ProcessorCount;
        using var team = new WorkerTeam(threads);
        var formats = args.Length > 1 ? args[1..] : [.. KvFormats.Names];
        foreach (var name in formats)
        {
            if (!KvFormats.TryParse(name, out var format)) throw new ArgumentException($"'{name}' is no format of keys and values; {string.Join(", ", KvFormats.Names)} are, and k=q8_0,v=q4_0.");
            Console.WriteLine($"{format}, {KernelCatalog.CurrentName}, {threads} threads");
            foreach (var (context, rows) in new[] { (512, 512), (4096, 512), (4096, 1), (32768, 1) }) Measure(team, format, context, rows);
        }

        return 0;
    }

    private static void Measure(WorkerTeam team, KvFormats format, int context, int rows)
    {
        var layout = new KvLayout(KvHeads, Size, Size, format);
        var blocks = context / KvLayout.BlockTokens;
        using var keys = new NativeBuffer(blocks * layout.KeyBlockBytes);
        using var values = new NativeBuffer(blocks * layout.ValueBlockBytes);
        using var queries = new NativeBuffer(rows * Heads * Size * 4L);
        using var output = new NativeBuffer(rows * Heads * Size * 4L);
        var pool = new KvPool(layout, blocks, keys.All, values.All);
        var shape = new AttentionShape(Heads, 0.125f);
        int[] table = [.. Enumerable.Range(0, blocks)];
        AttentionSpan[] spans = [new(0, rows, context - rows, 0)];
        Action<Worker> work = worker => PagedAttention.Attend(worker, shape, pool, queries.Floats(rows, Heads * Size), spans, table, output.Floats(rows, Heads * Size));
        var best = double.MaxValue;
        for (var repeat = 0; repeat < 15; repeat++)
        {
            var start = Stopwatch.GetTimestamp();
            team.Run(work);
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        var keysSeen = rows * (context - rows + (rows + 1) / 2.0);
        Console.WriteLine($"context {context,6}, {rows,4} tokens: {best * 1e3,8:F3} ms, {4 * keysSeen * Heads * Size / best / 1e9,6:F0} GFLOP/s, {(keys.Bytes + values.Bytes) / best / 1e9,5:F1} GB/s of KV");
    }
}
