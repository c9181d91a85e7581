using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Kvasir.Checkpoints;
using Kvasir.Cli.Benchmarks;
using Spectre.Console;

namespace Kvasir.Cli.Rendering;

/// <summary>What <c>bench engine</c> measured, for people and for programs.</summary>
internal static class EngineFiguresView
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Writes a table.</summary>
    public static void Write(EngineFigures figures, IAnsiConsole console)
    {
        var (work, memory) = (figures.Work, figures.Memory);
        console.WriteLine(Text($"{figures.Model}, {figures.Parameters / 1e6:#,0} M parameters, {figures.Types}, {new ByteSize(figures.FileBytes)}; KV {figures.KvType}; kernels {figures.Kernels}, {figures.Threads} threads; medians of {work.Repeats}"));
        var table = Terminal.Table("", "tokens/s", "lowest", "highest", "weights GB/s", "of bandwidth", "× batch 1");
        table.Row(Text($"prefill, {work.Prompt} tokens"), Rate(figures.Prefill.Median), Rate(figures.Prefill.Lowest), Rate(figures.Prefill.Highest), "", "", "");
        var single = figures.Decode.FirstOrDefault(decode => decode.Batch == 1);
        foreach (var decode in figures.Decode)
        {
            var rate = decode.TokensPerSecond;
            table.Row(Text($"decode, batch {decode.Batch}, {work.Generate} tokens each"), Rate(rate.Median), Rate(rate.Lowest), Rate(rate.Highest),
                Text($"{figures.WeightRate(decode) / 1e9:0.0}"), Text($"{figures.BandwidthShare(decode):0 %}"),
                single is null || decode == single ? "" : Text($"{rate.Median / single.TokensPerSecond.Median:0.00}"));
        }
        console.Write(table);
        console.WriteLine(Text($"Read bandwidth {figures.Bandwidth.Highest / 1e9:0.0} GB/s (the best of {work.Repeats} in this run; lowest {figures.Bandwidth.Lowest / 1e9:0.0}). A step reads {new ByteSize(figures.StepBytes)} of weights."));
        console.WriteLine(Text($"Memory at its peak {new ByteSize(memory.PeakBytes)}: weights {new ByteSize(memory.WeightsBytes)}, KV cache {new ByteSize(memory.KvBytes)}, {new ByteSize(Math.Max(0, memory.BesideBytes))} beside them. Loaded in {figures.LoadSeconds:0.0} s."));
    }

    /// <summary>The same as JSON: rates per second, sizes in bytes.</summary>
    public static string Json(EngineFigures figures) => new JsonObject
    {
        ["model"] = figures.Model,
        ["parameters"] = figures.Parameters,
        ["types"] = figures.Types,
        ["file_bytes"] = figures.FileBytes,
        ["kernels"] = figures.Kernels,
        ["kv_dtype"] = figures.KvType,
        ["threads"] = figures.Threads,
        ["load_seconds"] = figures.LoadSeconds,
        ["repeats"] = figures.Work.Repeats,
        ["read_bytes_per_second"] = Json(figures.Bandwidth),
        ["step_weight_bytes"] = figures.StepBytes,
        ["prefill"] = new JsonObject { ["tokens"] = figures.Work.Prompt, ["tokens_per_second"] = Json(figures.Prefill) },
        ["decode"] = new JsonArray([.. figures.Decode.Select(decode => new JsonObject
        {
            ["batch"] = decode.Batch,
            ["tokens"] = figures.Work.Generate,
            ["depth"] = figures.Work.Depth,
            ["tokens_per_second"] = Json(decode.TokensPerSecond),
            ["weight_bytes_per_second"] = figures.WeightRate(decode),
            ["bandwidth_share"] = figures.BandwidthShare(decode),
        })]),
        ["memory"] = new JsonObject
        {
            ["peak_bytes"] = figures.Memory.PeakBytes,
            ["weights_bytes"] = figures.Memory.WeightsBytes,
            ["kv_bytes"] = figures.Memory.KvBytes,
            ["ledger_bytes"] = figures.Memory.LedgerBytes,
            ["beside_weights_and_kv_bytes"] = figures.Memory.BesideBytes,
        },
    }.ToJsonString(Indented);

    private static JsonObject Json(Samples samples) => new()
    {
        ["median"] = samples.Median,
        ["lowest"] = samples.Lowest,
        ["highest"] = samples.Highest,
    };

    private static string Rate(double value) => Text($"{(value < 100 ? value.ToString("0.00", CultureInfo.InvariantCulture) : value.ToString("#,0.0", CultureInfo.InvariantCulture))}");

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
