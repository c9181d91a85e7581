using System.Globalization;
using System.Text.RegularExpressions;

namespace Kvasir.Planning.Calibration;

/// <summary>Finds numbers in a log by patterns, each with one group "n"; engines print GB where they mean 2³⁰.</summary>
/// <param name="whole">The whole log.</param>
internal sealed class LogText(string whole)
{
    // Engines' lines are some hundred characters; patterns slow down on endless ones.
    private const int LongestLine = 4000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly string _text = string.Join('\n', whole.Split('\n').Select(line => line.Length <= LongestLine ? line : line[..LongestLine]));

    public bool Has(string pattern) => Regex.IsMatch(_text, pattern, RegexOptions.IgnoreCase, Patience);

    public string? Word(params string[] patterns) => All(patterns).FirstOrDefault();

    public int? Count(params string[] patterns) => Longest(patterns) is { } value and > 0 and < int.MaxValue ? (int)value : null;

    /// <summary>The largest of the numbers that the first matching pattern finds.</summary>
    public long? Longest(params string[] patterns) => Numbers(patterns) is { Count: > 0 } found ? (long)found.Max() : null;

    /// <summary>The smallest: of several ranks' pools the engine uses as much as the smallest has.</summary>
    public long? Shortest(params string[] patterns) => Numbers(patterns) is { Count: > 0 } found ? (long)found.Min() : null;

    public double? Number(params string[] patterns) => Numbers(patterns) is { Count: > 0 } found ? found[0] : null;

    public long? MostGiB(params string[] patterns) => Numbers(patterns) is { Count: > 0 } found ? (long)(found.Max() * (1L << 30)) : null;

    public long? LeastGiB(params string[] patterns) => Numbers(patterns) is { Count: > 0 } found ? (long)(found.Min() * (1L << 30)) : null;

    /// <summary>The line around the first match.</summary>
    public string? Line(string pattern)
    {
        var match = Regex.Match(_text, pattern, RegexOptions.IgnoreCase, Patience);
        if (!match.Success) return null;
        var start = _text.LastIndexOf('\n', match.Index) + 1;
        var end = _text.IndexOf('\n', match.Index);
        var line = _text[start..(end < 0 ? _text.Length : end)].Trim();
        return line.Length <= 300 ? line : match.Value;
    }

    public MatchCollection Matches(string pattern) => Regex.Matches(_text, pattern, RegexOptions.IgnoreCase, Patience);

    private List<double> Numbers(string[] patterns) =>
        [.. All(patterns).Select(word => double.TryParse(word.Replace(",", "", StringComparison.Ordinal), NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : double.NaN).Where(double.IsFinite)];

    // The first pattern that is found decides: a log that prints a figure twice prints the better one in the newer wording.
    private IEnumerable<string> All(string[] patterns) =>
        patterns.Select(pattern => Matches(pattern)).FirstOrDefault(matches => matches.Count > 0)?.Select(match => match.Groups["n"].Value) ?? [];
}
