using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Cli.Load;
using Spectre.Console;

namespace Kvasir.Cli.Rendering;

/// <summary>Results of loads for people.</summary>
internal static class LoadText
{
    /// <summary>A table of one line per load and server, and what went wrong.</summary>
    public static void Write(IAnsiConsole console, IReadOnlyList<LoadResult> results)
    {
        foreach (var load in results.GroupBy(result => result.Load))
        {
            console.WriteLine($"{load.Key}: {load.First().Description}");
            var table = Terminal.Table("server\n", "wall\ns", "TTFT s\np50 / p90 / p99", "TPOT ms\np50 / p90", "ITL ms\np99", "end to end s\np50 / p99", "prompt\ntok/s", "output\ntok/s", "total\ntok/s", "reused\n", "of\nideal", "peak\nRSS", "failed\n");
            foreach (var result in load) Row(table, result);
            console.Write(table);
        }
        foreach (var result in results)
            foreach (var (error, count) in result.Errors)
                console.WriteLine($"{result.Server}, {result.Load}: {count} × {error}");
    }

    private static void Row(Table table, LoadResult result) => table.Row(
        result.Server, Seconds(result.WallSeconds),
        $"{Seconds(result.FirstToken?.P50)} / {Seconds(result.FirstToken?.P90)} / {Seconds(result.FirstToken?.P99)}",
        $"{Milliseconds(result.PerToken?.P50)} / {Milliseconds(result.PerToken?.P90)}",
        Milliseconds(result.InterToken?.P99),
        $"{Seconds(result.EndToEnd?.P50)} / {Seconds(result.EndToEnd?.P99)}",
        Rate(result.PromptRate), Rate(result.OutputRate), Rate(result.PromptRate + result.OutputRate),
        Share(result.CachedShare), Share(result.ShareOfIdeal),
        result.PeakResidentBytes is { } bytes ? new ByteSize(bytes).ToString() : "–",
        (result.Outcomes.Count - result.Answered.Count).ToString(CultureInfo.InvariantCulture));

    private static string Seconds(double? value) => value?.ToString(value < 10 ? "0.00" : "0.0", CultureInfo.InvariantCulture) ?? "–";

    private static string Milliseconds(double? seconds) => (seconds * 1000)?.ToString("0.0", CultureInfo.InvariantCulture) ?? "–";

    private static string Rate(double value) => value.ToString(value < 100 ? "0.0" : "#,0", CultureInfo.InvariantCulture);

    private static string Share(double? value) => (value * 100)?.ToString("0.0'%'", CultureInfo.InvariantCulture) ?? "–";
}
