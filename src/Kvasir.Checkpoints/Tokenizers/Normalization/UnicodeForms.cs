using System.Text;

namespace Kvasir.Checkpoints.Tokenizers.Normalization;

/// <summary>Unicode normalization (UAX #15): NFD, NFC, NFKD, NFKC.</summary>
internal static class UnicodeForms
{
    /// <summary>Normalizes a text.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="compatible">The forms with K.</param>
    /// <param name="compose">The forms that end in C.</param>
    public static string Normalize(string text, bool compatible, bool compose)
    {
        if (Ascii.IsValid(text))
            return text;
        var tables = Decompositions.Tables;
        var points = new List<int>(text.Length + 16);
        foreach (var rune in text.EnumerateRunes())
            tables.Decompose(rune.Value, compatible, points);
        Order(points, tables);
        if (compose)
            Compose(points, tables);
        var result = new StringBuilder(points.Count);
        foreach (int point in points)
            result.Append(new Rune(point));
        return result.ToString();
    }

    /// <summary>Puts marks between two starters into the order of their classes; equals keep theirs.</summary>
    private static void Order(List<int> points, Decompositions tables)
    {
        for (int i = 0; i < points.Count;)
        {
            int end = i;
            while (end < points.Count && tables.CombiningClass(points[end]) != 0)
                end++;
            if (end - i > 1)
            {
                int[] sorted = [.. points[i..end].OrderBy(tables.CombiningClass)];
                for (int j = 0; j < sorted.Length; j++)
                    points[i + j] = sorted[j];
            }
            i = end + 1;
        }
    }

    private static void Compose(List<int> points, Decompositions tables)
    {
        int kept = 0, starter = -1, lastClass = -1;
        foreach (int point in points.ToArray())
        {
            int combining = tables.CombiningClass(point);
            // A mark is blocked from the starter by one of its own or a higher class between them.
            bool blocked = lastClass >= combining && lastClass > 0 || (lastClass == 0 && kept - 1 != starter);
            int composed = starter >= 0 && !blocked ? tables.Compose(points[starter], point) : -1;
            if (composed >= 0)
            {
                points[starter] = composed;
                continue;
            }
            if (combining == 0)
                (starter, lastClass) = (kept, -1);
            else
                lastClass = combining;
            points[kept++] = point;
        }
        points.RemoveRange(kept, points.Count - kept);
    }
}
