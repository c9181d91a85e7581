using Kvasir.Planning.Tests.Reference;

namespace Kvasir.Planning.Tests.Accuracy;

/// <summary>
/// The plan against what real engines printed when they started. KVASIR_UPDATE=1 writes the measured table into
/// docs/accuracy.md; otherwise the table there must be the measured one.
/// </summary>
public sealed class AccuracyTests
{
    private const string Begin = "<!-- measured -->", End = "<!-- /measured -->";

    private static readonly Lazy<AccuracyReport> Report = new(() => AccuracyReport.Of(EngineLog.All()));

    [Fact]
    public void Bytes_per_token_are_within_half_a_percent_for_95_of_100_logs() => Assert.InRange(Measured().Within("KV bytes per token", 0.005), 0.95, 1);

    [Fact]
    public void Weights_are_within_2_percent_for_90_of_100_logs() => Assert.InRange(Measured().Within("weights", 0.02), 0.9, 1);

    [Fact]
    public void Cache_capacity_from_model_device_and_flags_is_within_5_percent_at_the_median_and_15_at_the_90th_percentile()
    {
        Assert.InRange(Measured().Quantile("KV capacity", 0.5), 0, 0.05);
        Assert.InRange(Measured().Quantile("KV capacity", 0.9), 0, 0.15);
    }

    [Fact]
    public void No_start_that_succeeded_is_predicted_not_to_fit() =>
        Assert.Empty(Measured().Outcomes.Where(outcome => outcome.Started && !outcome.Fits).Select(outcome => outcome.Log.Title));

    [Fact]
    public void Starts_that_failed_are_predicted_not_to_fit_unless_what_failed_them_is_in_no_flag()
    {
        var failed = Measured().Outcomes.Where(outcome => !outcome.Started).ToList();
        // Pictures per request, memory of other programs and a share that the log leaves out cannot be known from it.
        Assert.InRange(failed.Count(outcome => !outcome.Fits) / (double)failed.Count, 0.5, 1);
    }

    [Fact]
    public void The_table_in_the_documentation_is_the_measured_one()
    {
        var table = Measured().Markdown();
        var path = Path.Combine(ReferenceData.Repository, "docs", "accuracy.md");
        var text = File.ReadAllText(path);
        int begin = text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, end = text.IndexOf(End, StringComparison.Ordinal);
        if (Environment.GetEnvironmentVariable("KVASIR_UPDATE") == "1")
            File.WriteAllText(path, text = $"{text[..begin]}\n{table}{text[end..]}");
        // More logs laid beside the known ones give another table.
        Assert.SkipUnless(EngineLogFiles() == 1, "More logs than the documented ones are here.");
        end = text.IndexOf(End, StringComparison.Ordinal);
        Assert.Equal(table.Trim(), text[begin..end].Trim());
    }

    private static int EngineLogFiles() => Directory.GetFiles(Path.Combine(ReferenceData.Folder!, "memory"), "engine-logs*.jsonl").Length;

    private static AccuracyReport Measured()
    {
        ReferenceData.Require();
        return Report.Value;
    }
}
