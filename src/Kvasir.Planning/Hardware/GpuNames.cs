using System.Text.RegularExpressions;

namespace Kvasir.Planning.Hardware;

/// <summary>Compares names of GPUs as people and drivers write them: case, punctuation and makers' words do not count.</summary>
internal static partial class GpuNames
{
    private static readonly HashSet<string> Makers = ["nvidia", "geforce", "amd", "intel", "tesla", "quadro", "gpu", "instinct", "radeon", "corporation", "graphics", "the"];

    /// <summary>"NVIDIA A100-SXM4-80GB" as "a100 sxm4 80gb".</summary>
    public static string[] Words(string name)
    {
        var plain = Gigabytes().Replace(name.ToLowerInvariant(), "${count}gb");
        var words = Word().Matches(plain).Select(match => match.Value).ToArray();
        var telling = words.Where(word => !Makers.Contains(word)).ToArray();
        return telling.Length > 0 ? telling : words;
    }

    /// <summary>The words without spaces: "a100sxm480gb".</summary>
    public static string Key(string name) => string.Concat(Words(name));

    /// <summary>Letters to insert, delete or replace to turn one key into the other (Levenshtein's distance).</summary>
    public static int Distance(string left, string right)
    {
        var row = Enumerable.Range(0, right.Length + 1).ToArray();
        for (var i = 1; i <= left.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= right.Length; j++)
            {
                var above = row[j];
                row[j] = Math.Min(Math.Min(above, row[j - 1]) + 1, diagonal + (left[i - 1] == right[j - 1] ? 0 : 1));
                diagonal = above;
            }
        }
        return row[^1];
    }

    [GeneratedRegex(@"(?<count>\d+) ?g(i?b)?\b")]
    private static partial Regex Gigabytes();

    [GeneratedRegex("[a-z0-9+]+")]
    private static partial Regex Word();
}
