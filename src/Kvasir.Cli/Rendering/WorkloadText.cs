using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Planning.Workloads;

namespace Kvasir.Cli.Rendering;

/// <summary>Memory over time as a workload comes and goes: plain text, or the same as Markdown.</summary>
internal static class WorkloadText
{
    private const int ChartHeight = 8;

    public static void Write(TextWriter output, string title, WorkloadOutcome outcome, bool markdown)
    {
        output.WriteLine();
        output.WriteLine(markdown ? $"### Memory over time: {title}" : $"Memory over time: {title}");
        output.WriteLine();
        if (markdown) output.WriteLine("```");
        WriteChart(output, outcome);
        if (markdown) output.WriteLine("```");
        output.WriteLine();
        foreach (var (name, text) in Figures(outcome)) output.WriteLine(markdown ? $"- **{name}**: {text}" : $"  {name,-18} {text}");
    }

    /// <summary>What is to be said of an outcome, in every format.</summary>
    public static IEnumerable<(string Name, string Text)> Figures(WorkloadOutcome o)
    {
        yield return ("requests", $"{Count(o.Requests)} in {Time(o.Seconds)}: {Count(o.Finished)} answered, {Count(o.Refused)} too long for the context or the cache, {Count(o.Unfinished)} unfinished");
        yield return ("cache full", o.FullAtSeconds is { } full
            ? $"first after {Time(full)}; requests waited for memory during {Time(o.WaitedForMemorySeconds)}, {Count(o.Preemptions)} were put back and computed again"
            : $"never; running requests used {new ByteSize(o.PeakUsedBytes)} of {new ByteSize(o.PoolBytes)} at most");
        yield return ("together", $"{Count(o.PeakRunning)} ran at most, {Count(o.PeakQueued)} waited at most{(o.WaitedForSlotSeconds > 0 ? $"; for {Time(o.WaitedForSlotSeconds)} as many ran as the engine takes (--max-seqs)" : "")}");
        yield return ("first token", $"after {Time(o.MedianFirstTokenSeconds)} for half of the requests, {Time(o.SlowFirstTokenSeconds)} for 19 of 20");
        yield return ("prefixes", string.Create(CultureInfo.InvariantCulture,
            $"of {o.PromptTokens:N0} prompt tokens {o.ReusedTokens:N0} ({Share(o.ReusedTokens, o.PromptTokens)}) were still in the cache"));
        yield return ("offload would save", o.LostTokens > 0
            ? $"{Count(o.LostTokens)} tokens ({Share(o.LostTokens, o.PromptTokens)}) that were dropped and computed again in {Time(o.LostSeconds)}; keeping all needs {new ByteSize(o.KeepAllBytes)} per GPU"
            : "nothing: no dropped prefix came again");
    }

    private static void WriteChart(TextWriter output, WorkloadOutcome outcome)
    {
        for (var row = ChartHeight; row >= 1; row--)
        {
            var line = string.Concat(outcome.Samples.Select(sample => Cell(sample, outcome.PoolBytes, row)));
            var label = row == ChartHeight ? new ByteSize(outcome.PoolBytes).ToString() : "";
            output.WriteLine($"  {label,12} |{line}|");
        }
        output.WriteLine($"  {"waiting",12} |{string.Concat(outcome.Samples.Select(sample => sample.Queued == 0 ? ' ' : sample.Queued > 9 ? '+' : (char)('0' + sample.Queued)))}|");
        output.WriteLine($"  {"",12} 0{Time(outcome.Seconds).PadLeft(outcome.Samples.Length)}");
        output.WriteLine($"  {"",12}  █ running requests   ░ prefixes kept of finished ones");
    }

    private static char Cell(WorkloadSample sample, long pool, int row)
    {
        var middle = (row - 0.5) * pool / ChartHeight;
        return sample.UsedBytes >= middle ? '█' : sample.UsedBytes + sample.KeptBytes >= middle ? '░' : ' ';
    }

    private static string Share(long part, long whole) => string.Create(CultureInfo.InvariantCulture, $"{(whole == 0 ? 0 : 100.0 * part / whole):0.#} %");

    private static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    private static string Time(double seconds) => seconds switch
    {
        >= 5400 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600:0.0} h"),
        >= 90 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 60:0.0} min"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.##} s"),
    };
}
