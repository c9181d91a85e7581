using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Kvasir.Checkpoints;
using Kvasir.Cli.Benchmarks.Soak;
using Kvasir.Cli.Rendering;
using Spectre.Console;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir bench soak</c>: does memory stay where it is, whatever clients do?</summary>
internal static class BenchSoakCommand
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Describes the command.</summary>
    public static KvasirCommand Create()
    {
        var model = ModelArgument.Optional();
        var seconds = new Option<int>("--seconds") { Description = "How long clients are at work.", DefaultValueFactory = _ => 300 };
        var clients = new Option<int>("--clients") { Description = "Clients at a time.", DefaultValueFactory = _ => 32 };
        var context = new Option<int>("--context") { Description = "Most tokens of one sequence.", DefaultValueFactory = _ => 1024 };
        var passed = new Option<string?>[] { Passed("--memory", "4GiB"), Passed("--kv-host", "256MiB"), Passed("--kv-disk", "1GiB:/tmp/kv"), Passed("--kv-dtype", "q8_0"), Passed("--kv-remote", "redis://cache:6379") };
        var json = new Option<bool>("--json") { Description = "Print JSON, with resident memory over time." };
        var command = new KvasirCommand("soak",
            "Serve a model to clients that converse, share, leave and send nonsense, and look at what is left: exit code 1 when the ledger does not end where it began, resident memory grows by more than 2 %, a sound request fails or a text changes.",
            "kvasir bench soak",
            "kvasir bench soak model.gguf --seconds 1800 --memory 2GiB --kv-host 256MiB --kv-disk 1GiB:/tmp/kv",
            "kvasir bench soak --seconds 60 --json")
        {
            model, seconds, clients, context, json,
        };
        foreach (var option in passed) command.Options.Add(option);
        command.SetAction((parse, cancel) =>
        {
            var most = parse.GetValue(context);
            if (most < 256) throw new UsageException($"--context {most} is too short for conversations; give at least 256.");
            if (parse.GetValue(seconds) < 5) throw new UsageException($"--seconds {parse.GetValue(seconds)} is too short to see anything; give at least 5.");
            if (parse.GetValue(clients) < 1) throw new UsageException($"--clients {parse.GetValue(clients)} is not a positive number.");
            string[] flags = [.. passed.Where(option => parse.GetValue(option) is not null).SelectMany(option => (string[])[option.Name, parse.GetValue(option)!])];
            return RunAsync(parse.GetValue(model), [.. flags, "--context", $"{most}", "--max-queue", $"{parse.GetValue(clients)}"], most, parse.GetValue(clients), TimeSpan.FromSeconds(parse.GetValue(seconds)), parse.GetValue(json), cancel);
        });
        return command;
    }

    private static Option<string?> Passed(string name, string example) => new(name) { Description = $"As of kvasir serve: {example}." };

    private static async Task<int> RunAsync(string? model, string[] flags, int context, int clients, TimeSpan duration, bool json, CancellationToken cancel)
    {
        var path = await LocalModel.ResolveAsync(model ?? DemoModel.Path, cancel);
        SoakOutcome outcome;
        using (var line = new ProgressLine()) outcome = await SoakRun.RunAsync([path, .. flags], context, clients, duration, TimeProvider.System, line.Show, cancel);
        if (json) Console.Out.WriteLine(Json(outcome));
        else Write(outcome);
        return outcome is { LedgerReturned: true, IsIdle: true, SameText: true, Growth: <= SoakRun.MostGrowth, Counts.Wrong: 0 } ? 0 : 1;
    }

    private static void Write(SoakOutcome outcome)
    {
        var table = Terminal.Table("", "");
        void Row(string name, FormattableString value) => table.Row(name, value.ToString(CultureInfo.InvariantCulture));
        Row("time", $"{outcome.Seconds:0} s");
        Row("answers", $"{outcome.Counts.Answered:#,0}");
        Row("left in mid-stream", $"{outcome.Counts.Left:#,0}");
        Row("bodies that are no requests", $"{outcome.Counts.Hostile:#,0}");
        Row("refused for load or length", $"{outcome.Counts.Refused:#,0}");
        Row("failed", $"{outcome.Counts.Wrong:#,0}");
        Row("resident, caches filled", $"{new ByteSize((long)outcome.SettledBytes)}");
        Row("resident, end", $"{new ByteSize((long)outcome.EndBytes)} ({outcome.Growth:+0.00 %;-0.00 %})");
        Row("resident, most", $"{new ByteSize(outcome.PeakBytes)}");
        Row("ledger", $"{(outcome.LedgerReturned ? "ended where it began" : "CHANGED")}");
        Row("requests and blocks held", $"{(outcome.IsIdle ? "none" : "SOME")}");
        Row("same requests, same texts", $"{(outcome.SameText ? "yes" : "NO")}");
        Terminal.Out.Write(table);
        foreach (var failure in outcome.Failures) Terminal.Out.WriteLine(failure);
    }

    private static string Json(SoakOutcome outcome) => new JsonObject
    {
        ["seconds"] = outcome.Seconds,
        ["answered"] = outcome.Counts.Answered,
        ["left"] = outcome.Counts.Left,
        ["hostile"] = outcome.Counts.Hostile,
        ["refused"] = outcome.Counts.Refused,
        ["failed"] = outcome.Counts.Wrong,
        ["failures"] = new JsonArray([.. outcome.Failures.Select(failure => (JsonNode)failure)]),
        ["resident_settled_bytes"] = Math.Round(outcome.SettledBytes),
        ["resident_end_bytes"] = Math.Round(outcome.EndBytes),
        ["resident_peak_bytes"] = outcome.PeakBytes,
        ["resident_growth"] = outcome.Growth,
        ["ledger_returned"] = outcome.LedgerReturned,
        ["idle"] = outcome.IsIdle,
        ["same_text"] = outcome.SameText,
        ["resident"] = new JsonArray([.. outcome.Samples.Select(sample => (JsonNode)new JsonArray(Math.Round(sample.Seconds, 1), sample.Bytes))]),
    }.ToJsonString(Indented);
}
