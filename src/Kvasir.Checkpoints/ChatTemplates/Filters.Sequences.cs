using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>Filters over sequences, numbers and longer texts.</summary>
internal sealed partial class Filters
{
    private static object? Default(object? value, CallArguments arguments) =>
        value is Undefined || (Values.IsTrue(arguments.Get(1, "boolean", false)) && !Values.IsTrue(value)) ? arguments.Get(0, "default_value", "") : value;

    private static object Length(object? value) => (BigInteger)(value switch
    {
        string text => text.EnumerateRunes().Count(),
        List<object?> list => list.Count,
        DictValue dict => dict.Count,
        Undefined => 0,
        _ => throw new ChatTemplateException($"{Values.TypeName(value)} has no length."),
    });

    private static string Join(object? value, CallArguments arguments)
    {
        var path = arguments.Get(1, "attribute");
        return string.Join(Values.Text(arguments.Get(0, "d", "")), Values.Iterate(value).Select(item => Values.Text(path is null ? item : Deep(item, path))));
    }

    private static IComparer<object?> Order(CallArguments arguments, int casePlace, string caseName)
    {
        var ignoresCase = !Values.IsTrue(arguments.Get(casePlace, caseName, false));
        return Comparer<object?>.Create((a, b) => ignoresCase && a is string s && b is string t
            ? Values.Compare(s.ToLowerInvariant(), t.ToLowerInvariant()) : Values.Compare(a, b));
    }

    private static List<object?> Sort(object? value, CallArguments arguments)
    {
        var order = Order(arguments, 1, "case_sensitive");
        var paths = arguments.Get(2, "attribute") is string text ? text.Split(',') : null;
        var items = Values.Iterate(value).ToList();
        IEnumerable<object?> sorted = paths is null
            ? items.OrderBy(item => item, order)
            : paths.Skip(1).Aggregate(items.OrderBy(item => Deep(item, paths[0]), order), (ordered, path) => ordered.ThenBy(item => Deep(item, path), order));
        return Values.IsTrue(arguments.Get(0, "reverse", false)) ? ReversedStable(sorted, paths, order) : [.. sorted];
    }

    /// <summary>Python's reverse sort keeps equal items in their first order.</summary>
    private static List<object?> ReversedStable(IEnumerable<object?> sorted, string[]? paths, IComparer<object?> order)
    {
        object? Key(object? item) => paths is null ? item : Deep(item, paths[0]);
        return [.. sorted.OrderByDescending(Key, order)];
    }

    private static List<object?> DictSort(object? value, CallArguments arguments)
    {
        if (value is not DictValue dict) throw new ChatTemplateException("dictsort needs a dictionary.");
        var order = Order(arguments, 0, "case_sensitive");
        var byValue = Values.Text(arguments.Get(1, "by", "key")) == "value";
        var pairs = dict.Select(item => new TupleValue([Values.Key(item.Key), item.Value]));
        var sorted = pairs.OrderBy(pair => pair[byValue ? 1 : 0], order).ToList<object?>();
        if (Values.IsTrue(arguments.Get(2, "reverse", false))) sorted.Reverse();
        return sorted;
    }

    private static object? Extreme(object? value, CallArguments arguments, int sign)
    {
        var order = Order(arguments, 0, "case_sensitive");
        var path = arguments.Get(1, "attribute");
        object? Key(object? item) => path is null ? item : Deep(item, path);
        object? best = new Undefined(sign > 0 ? "max" : "min");
        foreach (var item in Values.Iterate(value))
            if (best is Undefined || order.Compare(Key(item), Key(best)) * sign > 0) best = item;
        return best;
    }

    private static List<object?> Unique(object? value, CallArguments arguments)
    {
        var path = arguments.Get(1, "attribute");
        var matchesCase = Values.IsTrue(arguments.Get(0, "case_sensitive", false));
        var seen = new HashSet<object>(Values.KeyComparer);
        return [.. Values.Iterate(value).Where(item =>
        {
            var key = path is null ? item : Deep(item, path);
            return seen.Add(key is string text && !matchesCase ? text.ToLowerInvariant() : key ?? Values.NoneKey);
        })];
    }

    private static List<object?> GroupBy(object? value, CallArguments arguments)
    {
        var path = arguments.Require(0, "attribute", "groupby");
        var order = Order(arguments, 2, "case_sensitive");
        var groups = new List<object?>();
        foreach (var item in Values.Iterate(value).OrderBy(item => Deep(item, path), order))
        {
            var key = Deep(item, path);
            if (groups.Count == 0 || order.Compare(((TupleValue)groups[^1]!)[0], key) != 0) groups.Add(new TupleValue([key, new List<object?>()]));
            ((List<object?>)((TupleValue)groups[^1]!)[1]!).Add(item);
        }
        return groups;
    }

    private static List<object?> Batch(object? value, CallArguments arguments)
    {
        var size = Math.Max(1, Values.ToIndex(arguments.Require(0, "linecount", "batch")));
        var batches = Values.Iterate(value).Chunk(size).Select(batch => batch.ToList()).ToList();
        if (arguments.Get(1, "fill_with") is { } fill && batches.Count > 0)
            while (batches[^1].Count < size) batches[^1].Add(fill);
        return [.. batches];
    }

    private static List<object?> Columns(object? value, CallArguments arguments)
    {
        var items = Values.Iterate(value).ToList();
        var count = Math.Clamp(Values.ToIndex(arguments.Require(0, "slices", "slice")), 1, 1 << 20);
        var (size, longer) = Math.DivRem(items.Count, count);
        var (columns, at) = (new List<object?>(), 0);
        for (var i = 0; i < count; i++)
        {
            var column = items.GetRange(at, size + (i < longer ? 1 : 0));
            at += column.Count;
            if (arguments.Get(1, "fill_with") is { } fill && i >= longer && longer > 0) column.Add(fill);
            columns.Add(column);
        }
        return columns;
    }

    private static object ToInteger(object? value, CallArguments arguments)
    {
        if (Values.Number(value) is { } number) return number;
        if (value is double real && double.IsFinite(real)) return new BigInteger(Math.Truncate(real));
        var text = (value as string ?? "").Trim();
        if (BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole)) return whole;
        return double.TryParse(text, CultureInfo.InvariantCulture, out var parsed) && double.IsFinite(parsed)
            ? new BigInteger(Math.Truncate(parsed)) : arguments.Get(0, "default", BigInteger.Zero)!;
    }

    private static object ToFloat(object? value, CallArguments arguments) =>
        Values.IsNumber(value) ? Values.ToDouble(value)
        : double.TryParse((value as string ?? "").Trim(), CultureInfo.InvariantCulture, out var parsed) ? parsed
        : arguments.Get(0, "default", 0.0)!;

    private static object Round(object? value, CallArguments arguments)
    {
        var digits = Math.Clamp(Values.ToIndex(arguments.Get(0, "precision", BigInteger.Zero)), -15, 15);
        var scale = Math.Pow(10, digits);
        var number = Values.ToDouble(value);
        return Values.Text(arguments.Get(1, "method", "common")) switch
        {
            "ceil" => Math.Ceiling(number * scale) / scale,
            "floor" => Math.Floor(number * scale) / scale,
            // The F format rounds the binary value exactly, as Python does; scaling first would turn 42.55 into a tie.
            _ => digits > 0 ? double.Parse(number.ToString($"F{digits}", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)
                : Math.Round(number * scale, MidpointRounding.ToEven) / scale,
        };
    }

    private static string Indent(string text, CallArguments arguments)
    {
        var width = arguments.Get(0, "width", (BigInteger)4);
        var indention = width as string ?? new string(' ', Math.Clamp(Values.ToIndex(width), 0, 1024));
        var blank = Values.IsTrue(arguments.Get(2, "blank", false));
        var lines = (text + "\n").Split('\n')[..^1];
        var indented = new StringBuilder();
        for (var i = 0; i < lines.Length; i++)
        {
            if (i > 0) indented.Append('\n');
            if ((i > 0 || Values.IsTrue(arguments.Get(1, "first", false))) && (blank || lines[i].Length > 0)) indented.Append(indention);
            indented.Append(lines[i]);
        }
        return indented.ToString();
    }

    private static string Truncate(string text, CallArguments arguments)
    {
        var length = Math.Max(0, Values.ToIndex(arguments.Get(0, "length", (BigInteger)255)));
        var end = Values.Text(arguments.Get(2, "end", "..."));
        if (text.Length <= length + Values.ToIndex(arguments.Get(3, "leeway") ?? (BigInteger)5)) return text;
        var cut = text[..Math.Max(0, length - end.Length)];
        if (Values.IsTrue(arguments.Get(1, "killwords", false))) return cut + end;
        var space = cut.LastIndexOf(' ');
        return (space >= 0 ? cut[..space] : cut) + end;
    }

    private static object? FromJson(object? value)
    {
        try
        {
            return Values.FromJson(JsonNode.Parse(Values.Text(value)));
        }
        catch (JsonException error)
        {
            throw new ChatTemplateException($"from_json: {error.Message}");
        }
    }
}
