using System.Globalization;

namespace Kvasir.Adapters.Metrics;

/// <summary>
/// The samples of a scrape in Prometheus' text format (and OpenMetrics', as far as they agree). Lines that cannot be read
/// are skipped: a metric that is missing is unknown, and one odd line must not hide the others.
/// </summary>
public sealed class PrometheusSamples
{
    private const int MostSamples = 100_000;

    private readonly Dictionary<string, List<Sample>> _samples = new(StringComparer.Ordinal);

    /// <summary>Reads a scrape.</summary>
    public static PrometheusSamples Parse(ReadOnlySpan<char> text)
    {
        var samples = new PrometheusSamples();
        var count = 0;
        foreach (var line in text.EnumerateLines())
            if (samples.Add(line.Trim()) && ++count == MostSamples) break;
        return samples;
    }

    /// <summary>The sum over all label sets of the first of <paramref name="names"/> that is there, or null.</summary>
    public double? Sum(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
            if (_samples.TryGetValue(name, out var found)) return found.Sum(sample => sample.Value);
        return null;
    }

    /// <summary>The mean over all label sets of the first of <paramref name="names"/> that is there, or null.</summary>
    public double? Mean(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
            if (_samples.TryGetValue(name, out var found)) return found.Average(sample => sample.Value);
        return null;
    }

    /// <summary>The number in a label of a metric, summed over label sets (vLLM tells its configuration so), or null.</summary>
    public double? SumOfLabel(string name, string label) => NumbersOf(name, label) is { Length: > 0 } numbers ? numbers.Sum() : null;

    /// <summary>The number in a label of a metric, averaged over label sets, or null.</summary>
    public double? MeanOfLabel(string name, string label) => NumbersOf(name, label) is { Length: > 0 } numbers ? numbers.Average() : null;

    private bool Add(ReadOnlySpan<char> line)
    {
        if (line.IsEmpty || line[0] == '#') return false;
        var open = line.IndexOf('{');
        var nameEnd = open >= 0 ? open : line.IndexOf(' ');
        if (nameEnd <= 0) return false;
        var labels = ReadOnlySpan<char>.Empty;
        var rest = line[nameEnd..];
        if (open >= 0)
        {
            var close = EndOfLabels(line, open);
            if (close < 0) return false;
            labels = line[(open + 1)..close];
            rest = line[(close + 1)..];
        }
        rest = rest.Trim();
        var end = rest.IndexOf(' ');
        if (!double.TryParse(end < 0 ? rest : rest[..end], NumberStyles.Float, CultureInfo.InvariantCulture, out var value) || !double.IsFinite(value)) return false;
        var name = line[..nameEnd].Trim().ToString();
        if (!_samples.TryGetValue(name, out var list)) _samples[name] = list = [];
        list.Add(new Sample(labels.ToString(), value));
        return true;
    }

    /// <summary>Braces may stand inside quoted values, and quotes may be escaped.</summary>
    private static int EndOfLabels(ReadOnlySpan<char> line, int open)
    {
        var quoted = false;
        for (var i = open + 1; i < line.Length; i++)
        {
            if (quoted && line[i] == '\\') i++;
            else if (line[i] == '"') quoted = !quoted;
            else if (line[i] == '}' && !quoted) return i;
        }
        return -1;
    }

    private double[] NumbersOf(string name, string label) =>
        _samples.TryGetValue(name, out var found) ? [.. found.Select(sample => LabelOf(sample.Labels, label)).OfType<double>()] : [];

    private static double? LabelOf(string labels, string label)
    {
        var start = labels.StartsWith(label + "=\"", StringComparison.Ordinal) ? 0 : labels.IndexOf($",{label}=\"", StringComparison.Ordinal) + 1;
        if (start == 0 && !labels.StartsWith(label + "=\"", StringComparison.Ordinal)) return null;
        start += label.Length + 2;
        var end = labels.IndexOf('"', start);
        return end > start && double.TryParse(labels.AsSpan(start, end - start), NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : null;
    }

    private readonly record struct Sample(string Labels, double Value);
}
