using System.Text;

namespace Kvasir;

/// <summary>
/// Finds stop strings in text that arrives in pieces. Text is held back only while it may be the beginning of a stop string.
/// What is found does not depend on where the pieces end: the stop string that is complete first wins, and of those the longest.
/// </summary>
public sealed class StopScanner
{
    private readonly IReadOnlyList<string> stops;
    private readonly bool includeStop;
    private readonly StringBuilder held = new();

    /// <summary>Creates a scanner.</summary>
    /// <param name="stops">Texts to stop at; none of them empty.</param>
    /// <param name="includeStop">Whether the found stop string is part of the output.</param>
    public StopScanner(IReadOnlyList<string> stops, bool includeStop = false)
    {
        this.stops = stops;
        this.includeStop = includeStop;
    }

    /// <summary>The stop string that was found, or null.</summary>
    public string? Found { get; private set; }

    /// <summary>Takes a piece and returns what is certainly not part of a stop string. Nothing comes after one was found.</summary>
    public string Push(string piece)
    {
        if (Found is not null) return "";
        if (stops.Count == 0) return piece;
        held.Append(piece);
        var text = held.ToString();
        if (FindFirst(text) is { } hit)
        {
            Found = hit.Stop;
            held.Clear();
            return includeStop ? text[..(hit.Start + hit.Stop.Length)] : text[..hit.Start];
        }
        var keep = PartialLength(text);
        held.Clear().Append(text, text.Length - keep, keep);
        return text[..^keep];
    }

    /// <summary>What was held back, when no more text comes.</summary>
    public string Flush()
    {
        var rest = held.ToString();
        held.Clear();
        return rest;
    }

    private (int Start, string Stop)? FindFirst(string text)
    {
        (int Start, string Stop)? best = null;
        foreach (var stop in stops)
        {
            var start = text.IndexOf(stop, StringComparison.Ordinal);
            if (start < 0) continue;
            var end = start + stop.Length;
            var bestEnd = best is { } b ? b.Start + b.Stop.Length : int.MaxValue;
            if (end < bestEnd || end == bestEnd && start < best!.Value.Start) best = (start, stop);
        }
        return best;
    }

    private int PartialLength(string text)
    {
        var longest = 0;
        foreach (var stop in stops)
            for (var length = Math.Min(stop.Length - 1, text.Length); length > longest; length--)
                if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length)))
                    longest = length;
        return longest;
    }
}
