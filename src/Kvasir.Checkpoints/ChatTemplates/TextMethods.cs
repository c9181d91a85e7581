using System.Globalization;
using System.Numerics;
using System.Text;

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>Methods of Python's str.</summary>
internal static class TextMethods
{
    public static Callable? Find(string text, string name) => name switch
    {
        "strip" => a => Strip(text, a.Get(0, "chars"), true, true),
        "lstrip" => a => Strip(text, a.Get(0, "chars"), true, false),
        "rstrip" => a => Strip(text, a.Get(0, "chars"), false, true),
        "upper" => _ => text.ToUpperInvariant(),
        "lower" or "casefold" => _ => text.ToLowerInvariant(),
        "title" => _ => Title(text),
        "capitalize" => _ => Capitalize(text),
        "swapcase" => _ => string.Concat(text.Select(c => char.IsUpper(c) ? char.ToLowerInvariant(c) : char.ToUpperInvariant(c))),
        "split" => a => Split(text, a.Get(0, "sep"), Limit(a)),
        "rsplit" => a => SplitRight(text, a.Get(0, "sep"), Limit(a)),
        "splitlines" => a => Lines(text, Values.IsTrue(a.Get(0, "keepends", false))),
        "partition" => a => Partition(text, Word(a, "partition"), text.IndexOf(Word(a, "partition"), StringComparison.Ordinal), true),
        "rpartition" => a => Partition(text, Word(a, "rpartition"), text.LastIndexOf(Word(a, "rpartition"), StringComparison.Ordinal), false),
        "startswith" => a => Affix(a.Require(0, "prefix", name), prefix => text.StartsWith(prefix, StringComparison.Ordinal)),
        "endswith" => a => Affix(a.Require(0, "suffix", name), suffix => text.EndsWith(suffix, StringComparison.Ordinal)),
        "removeprefix" => a => Word(a, name) is var p && text.StartsWith(p, StringComparison.Ordinal) ? text[p.Length..] : text,
        "removesuffix" => a => Word(a, name) is { Length: > 0 } s && text.EndsWith(s, StringComparison.Ordinal) ? text[..^s.Length] : text,
        "replace" => a => Replace(text, Word(a, name), Values.Text(a.Require(1, "new", name)), a.Get(2, "count")),
        "join" => a => string.Join(text, Values.Iterate(a.Require(0, "items", name)).Select(item => item as string
            ?? throw new ChatTemplateException($"join: {Values.TypeName(item)} is no text."))),
        "find" => a => Place(text, text.IndexOf(Word(a, name), StringComparison.Ordinal)),
        "rfind" => a => Place(text, text.LastIndexOf(Word(a, name), StringComparison.Ordinal)),
        "index" => a => text.IndexOf(Word(a, name), StringComparison.Ordinal) is var at and >= 0 ? Place(text, at) : throw new ChatTemplateException("index: the text does not occur."),
        "count" => a => (BigInteger)Count(text, Word(a, name)),
        "isdigit" or "isnumeric" or "isdecimal" => _ => text.Length > 0 && text.All(char.IsDigit),
        "isalpha" => _ => text.Length > 0 && text.All(char.IsLetter),
        "isalnum" => _ => text.Length > 0 && text.All(char.IsLetterOrDigit),
        "isspace" => _ => text.Length > 0 && text.All(char.IsWhiteSpace),
        "isupper" => _ => text.Any(char.IsUpper) && !text.Any(char.IsLower),
        "islower" => _ => text.Any(char.IsLower) && !text.Any(char.IsUpper),
        "zfill" => a => text.PadLeft(Width(a), '0'),
        "ljust" => a => text.PadRight(Width(a), Fill(a)),
        "rjust" => a => text.PadLeft(Width(a), Fill(a)),
        "center" => a => text.PadLeft((Width(a) + text.Length) / 2, Fill(a)).PadRight(Width(a), Fill(a)),
        "format" => a => BraceFormat.Apply(text, a),
        "encode" => _ => text,
        _ => null,
    };

    public static string Title(string text)
    {
        var title = new StringBuilder(text.Length);
        var inWord = false;
        foreach (var c in text)
        {
            title.Append(inWord ? char.ToLowerInvariant(c) : char.ToUpperInvariant(c));
            inWord = char.IsLetter(c);
        }
        return title.ToString();
    }

    public static string Capitalize(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..].ToLowerInvariant();

    public static string Strip(string text, object? characters, bool left, bool right)
    {
        Func<char, bool> drops = characters is string set ? set.Contains : char.IsWhiteSpace;
        var (start, end) = (0, text.Length);
        while (left && start < end && drops(text[start])) start++;
        while (right && end > start && drops(text[end - 1])) end--;
        return text[start..end];
    }

    public static string Replace(string text, string old, string replacement, object? count)
    {
        if (count is null || Values.ToIndex(count) < 0)
            return old.Length > 0 ? text.Replace(old, replacement, StringComparison.Ordinal)
                : replacement + string.Concat(text.EnumerateRunes().Select(rune => rune + replacement));
        var result = new StringBuilder();
        var at = 0;
        for (var left = Values.ToIndex(count); left > 0 && old.Length > 0; left--)
        {
            var next = text.IndexOf(old, at, StringComparison.Ordinal);
            if (next < 0) break;
            result.Append(text, at, next - at).Append(replacement);
            at = next + old.Length;
        }
        return result.Append(text, at, text.Length - at).ToString();
    }

    private static List<object?> Split(string text, object? separator, int limit)
    {
        if (separator is null) return SplitBlanks(text, limit);
        var word = Separator(separator);
        var parts = new List<object?>();
        var at = 0;
        for (var next = text.IndexOf(word, StringComparison.Ordinal); next >= 0 && limit-- != 0; next = text.IndexOf(word, at, StringComparison.Ordinal))
        {
            parts.Add(text[at..next]);
            at = next + word.Length;
        }
        parts.Add(text[at..]);
        return parts;
    }

    private static List<object?> SplitBlanks(string text, int limit)
    {
        var parts = new List<object?>();
        for (var at = 0; ;)
        {
            while (at < text.Length && char.IsWhiteSpace(text[at])) at++;
            if (at == text.Length) return parts;
            if (limit-- == 0)
            {
                parts.Add(text[at..].TrimEnd());
                return parts;
            }
            var start = at;
            while (at < text.Length && !char.IsWhiteSpace(text[at])) at++;
            parts.Add(text[start..at]);
        }
    }

    private static List<object?> SplitRight(string text, object? separator, int limit)
    {
        if (separator is null)
        {
            var reversed = SplitBlanks(new string([.. text.Reverse()]), limit);
            return [.. reversed.Select(part => (object?)new string([.. ((string)part!).Reverse()])).Reverse()];
        }
        var word = Separator(separator);
        var parts = new List<object?>();
        var end = text.Length;
        while (limit-- != 0 && end >= word.Length)
        {
            var next = text.LastIndexOf(word, end - 1, StringComparison.Ordinal);
            if (next < 0) break;
            parts.Add(text[(next + word.Length)..end]);
            end = next;
        }
        parts.Add(text[..end]);
        parts.Reverse();
        return parts;
    }

    private static string Separator(object separator) =>
        separator is string { Length: > 0 } word ? word : throw new ChatTemplateException("split needs a text that is not empty.");

    private static List<object?> Lines(string text, bool keepEnds)
    {
        var lines = new List<object?>();
        for (var at = 0; at < text.Length;)
        {
            var end = text.AsSpan(at).IndexOfAny("\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029");
            if (end < 0)
            {
                lines.Add(text[at..]);
                break;
            }
            var next = at + end + (text[at + end] == '\r' && at + end + 1 < text.Length && text[at + end + 1] == '\n' ? 2 : 1);
            lines.Add(keepEnds ? text[at..next] : text[at..(at + end)]);
            at = next;
        }
        return lines;
    }

    private static TupleValue Partition(string text, string word, int at, bool first) =>
        at >= 0 ? new([text[..at], word, text[(at + word.Length)..]]) : first ? new([text, "", ""]) : new(["", "", text]);

    private static object Affix(object? affix, Func<string, bool> matches) => affix switch
    {
        string one => matches(one),
        TupleValue several => several.Any(one => one is string text && matches(text)),
        _ => throw new ChatTemplateException($"{Values.TypeName(affix)} is neither a text nor a tuple of texts."),
    };

    private static string Word(CallArguments arguments, string method) => arguments.Require(0, "text", method) as string
        ?? throw new ChatTemplateException($"{method} needs a text.");

    private static int Limit(CallArguments arguments) => Values.ToIndex(arguments.Get(1, "maxsplit", (BigInteger)(-1)));

    private static int Width(CallArguments arguments) => Math.Clamp(Values.ToIndex(arguments.Require(0, "width", "padding")), 0, 1 << 20);

    private static char Fill(CallArguments arguments) => arguments.Get(1, "fillchar", " ") is string { Length: 1 } fill ? fill[0] : ' ';

    private static object Place(string text, int at) => (BigInteger)(at < 0 ? -1 : text.AsSpan(0, at).EnumerateRunes().GetEnumerator() is var runes ? CountRunes(runes) : 0);

    private static int CountRunes(SpanRuneEnumerator runes)
    {
        var count = 0;
        while (runes.MoveNext()) count++;
        return count;
    }

    private static int Count(string text, string word)
    {
        if (word.Length == 0) return new StringInfo(text).LengthInTextElements + 1;
        var count = 0;
        for (var at = text.IndexOf(word, StringComparison.Ordinal); at >= 0; at = text.IndexOf(word, at + word.Length, StringComparison.Ordinal)) count++;
        return count;
    }
}
