using System.Globalization;
using System.Text;

namespace Kvasir.Planning.Tests.Accuracy;

/// <summary>Errors of the plan against logged starts, by engine and kind, as the table of docs/accuracy.md.</summary>
internal sealed record AccuracyReport(IReadOnlyList<Comparison> Comparisons, IReadOnlyList<(EngineLog Log, bool Started, bool Fits)> Outcomes, IReadOnlyList<EngineLog> Logs)
{
    public static AccuracyReport Of(IReadOnlyList<EngineLog> logs) => new(
        [.. logs.SelectMany(log => (Comparison?[])[Comparison.BytesPerToken(log), Comparison.Weights(log), Comparison.Capacity(log)]).OfType<Comparison>()],
        [.. logs.Select(Comparison.Outcome).OfType<(EngineLog, bool, bool)>()], logs);

    /// <summary>Share of a kind's comparisons whose error is at most so much.</summary>
    public double Within(string kind, double error) => Of(kind) is var all ? all.Count(e => e <= error) / (double)all.Count : 0;

    /// <summary>The error that a share of a kind's comparisons stays below.</summary>
    public double Quantile(string kind, double share) => Of(kind) is var all ? all[Math.Min(all.Count - 1, (int)Math.Floor(all.Count * share))] : 0;

    private List<double> Of(string kind) => [.. Comparisons.Where(c => c.Kind == kind).Select(c => Math.Abs(c.Error)).Order()];

    public string Markdown()
    {
        var text = new StringBuilder();
        text.Append("| engine | figure | logs | median error | 90th percentile | within 0.5 % | within 2 % | within 15 % |\n|---|---|---|---|---|---|---|---|\n");
        foreach (var group in Comparisons.GroupBy(c => (c.Kind, c.Log.Engine)).Concat(Comparisons.GroupBy(c => (c.Kind, Engine: "all"))).OrderBy(g => g.Key.Kind).ThenBy(g => g.Key.Engine))
        {
            var errors = group.Select(c => Math.Abs(c.Error)).Order().ToList();
            double Share(double limit) => errors.Count(e => e <= limit) / (double)errors.Count;
            text.Append(CultureInfo.InvariantCulture, $"| {group.Key.Engine} | {group.Key.Kind} | {errors.Count} | {Percent(errors[errors.Count / 2])} | {Percent(errors[Math.Min(errors.Count - 1, (int)(errors.Count * 0.9))])} | {Whole(Share(0.005))} | {Whole(Share(0.02))} | {Whole(Share(0.15))} |\n");
        }
        var started = Outcomes.Where(o => o.Started).ToList();
        var failed = Outcomes.Where(o => !o.Started).ToList();
        text.Append(CultureInfo.InvariantCulture, $"\nOf {started.Count} starts that succeeded, {started.Count(o => o.Fits)} were predicted to fit; of {failed.Count} that failed for lack of memory, {failed.Count(o => !o.Fits)} were predicted not to.\n");
        text.Append("\n| log | figure | logged | planned | error |\n|---|---|---|---|---|\n");
        foreach (var c in Comparisons.Where(c => Math.Abs(c.Error) > Limit(c.Kind)).OrderBy(c => c.Kind).ThenByDescending(c => Math.Abs(c.Error)))
            text.Append(CultureInfo.InvariantCulture, $"| {c.Log.Title} ({c.Log.Engine}) | {c.Kind} | {Figure(c, c.Logged)} | {Figure(c, c.Planned)} | {(c.Error > 0 ? "+" : "−")}{Percent(Math.Abs(c.Error))} |\n");
        foreach (var (log, didStart, fits) in Outcomes.Where(o => o.Started != o.Fits))
            text.Append(CultureInfo.InvariantCulture, $"| {log.Title} ({log.Engine}) | start | {(didStart ? "started" : "failed")} | {(fits ? "fits" : "does not fit")} | |\n");
        return text.ToString();
    }

    private static double Limit(string kind) => kind switch { "KV bytes per token" => 0.005, "weights" => 0.02, _ => 0.15 };

    private static string Figure(Comparison c, double value) => c.Kind switch
    {
        "weights" => string.Create(CultureInfo.InvariantCulture, $"{value:0.00} {(c.Log.Engine == "llama.cpp" ? "MiB" : "GiB")}"),
        "KV capacity" => string.Create(CultureInfo.InvariantCulture, $"{value:#,##0} tokens"),
        _ => c.Log.Engine == "llama.cpp" ? string.Create(CultureInfo.InvariantCulture, $"{value:0.0} MiB") : string.Create(CultureInfo.InvariantCulture, $"{1 / value:#,##0} tokens"),
    };

    private static string Whole(double value) => string.Create(CultureInfo.InvariantCulture, $"{value * 100:0}\u00a0%");

    private static string Percent(double value) => string.Create(CultureInfo.InvariantCulture, $"{value * 100:0.0}\u00a0%");
}
