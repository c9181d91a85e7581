using System.Collections;
using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json.Nodes;

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>A value that is not there. It prints as nothing; looking into it is an error.</summary>
internal sealed record Undefined(string Name);

/// <summary>Text that <c>safe</c> marked as HTML: what is added to it is escaped.</summary>
internal sealed record Markup(string Text)
{
    public static string Escape(object? value) => value is Markup markup ? markup.Text : Values.Text(value)
        .Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal)
        .Replace("'", "&#39;", StringComparison.Ordinal).Replace("\"", "&#34;", StringComparison.Ordinal);

    /// <summary>The plain text of marked text; other values as they are.</summary>
    public static object? Plain(object? value) => value is Markup markup ? markup.Text : value;
}

/// <summary>What a lazy filter yields: it can be iterated, and nothing else.</summary>
internal sealed class GeneratorValue(IEnumerable<object?> items) : IEnumerable<object?>
{
    public IEnumerator<object?> GetEnumerator() => items.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>A tuple: a sequence that prints with parentheses.</summary>
internal sealed class TupleValue(IEnumerable<object?> items) : List<object?>(items);

/// <summary>A dictionary that keeps the order of insertion.</summary>
internal sealed class DictValue : IEnumerable<KeyValuePair<object, object?>>
{
    private readonly OrderedDictionary<object, object?> _items = new(Values.KeyComparer);

    public int Count => _items.Count;

    public IEnumerable<object?> Keys => _items.Keys;

    public IEnumerable<object?> Items => _items.Values;

    public object? this[object? key]
    {
        set => _items[Key(key)] = value;
    }

    public bool TryGet(object? key, out object? value) => _items.TryGetValue(Key(key), out value);

    public IEnumerator<KeyValuePair<object, object?>> GetEnumerator() => _items.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static object Key(object? key) => key ?? Values.NoneKey;
}

/// <summary>What <c>namespace(…)</c> gives: attributes that an inner scope can set.</summary>
internal sealed class NamespaceValue(DictValue attributes)
{
    public DictValue Attributes { get; } = attributes;
}

/// <summary>Something that can be called.</summary>
internal delegate object? Callable(CallArguments arguments);

/// <summary>Python's rules for values: truth, equality, order, printing. null is None; integers are <see cref="BigInteger"/>.</summary>
internal static class Values
{
    private const int MaximumDepth = 100;

    public static readonly object NoneKey = new();

    public static readonly IEqualityComparer<object> KeyComparer = new Keys();

    public static bool IsTrue(object? value) => value switch
    {
        null or Undefined => false,
        bool flag => flag,
        BigInteger number => !number.IsZero,
        double number => number != 0,
        string text => text.Length > 0,
        Markup markup => markup.Text.Length > 0,
        List<object?> list => list.Count > 0,
        DictValue dict => dict.Count > 0,
        _ => true,
    };

    public static new bool Equals(object? a, object? b)
    {
        (a, b) = (Markup.Plain(a), Markup.Plain(b));
        if (Number(a) is { } x && Number(b) is { } y) return a is double || b is double ? ToDouble(a) == ToDouble(b) : x == y;
        if (a is double || b is double) return IsNumber(a) && IsNumber(b) && ToDouble(a) == ToDouble(b);
        return (a, b) switch
        {
            (null, null) => true,
            (string s, string t) => s == t,
            (List<object?> s, List<object?> t) => s is TupleValue == t is TupleValue && s.Count == t.Count && s.Zip(t).All(pair => Equals(pair.First, pair.Second)),
            (DictValue s, DictValue t) => s.Count == t.Count && s.All(item => t.TryGet(item.Key, out var other) && Equals(item.Value, other)),
            (Undefined, Undefined) => true,
            _ => ReferenceEquals(a, b),
        };
    }

    public static bool IsNumber(object? value) => value is BigInteger or double or bool;

    /// <summary>An integer's or boolean's value.</summary>
    public static BigInteger? Number(object? value) => value switch
    {
        BigInteger number => number,
        bool flag => flag ? 1 : 0,
        _ => null,
    };

    public static double ToDouble(object? value) => value switch
    {
        double number => number,
        BigInteger number => (double)number,
        bool flag => flag ? 1 : 0,
        _ => throw new ChatTemplateException($"{TypeName(value)} is not a number."),
    };

    public static int ToIndex(object? value) => Number(value) is { } number
        ? (int)BigInteger.Max(int.MinValue, BigInteger.Min(int.MaxValue, number))
        : throw new ChatTemplateException($"{TypeName(value)} cannot be used as an integer.");

    public static int Compare(object? a, object? b)
    {
        (a, b) = (Markup.Plain(a), Markup.Plain(b));
        if (IsNumber(a) && IsNumber(b))
            return a is double || b is double ? ToDouble(a).CompareTo(ToDouble(b)) : Number(a)!.Value.CompareTo(Number(b)!.Value);
        if (a is string s && b is string t) return CompareText(s, t);
        if (a is List<object?> x && b is List<object?> y)
        {
            for (var i = 0; i < Math.Min(x.Count, y.Count); i++)
                if (!Equals(x[i], y[i])) return Compare(x[i], y[i]);
            return x.Count.CompareTo(y.Count);
        }
        throw new ChatTemplateException($"{TypeName(a)} and {TypeName(b)} cannot be ordered.");
    }

    /// <summary>By code points, as Python orders text; UTF-16 units alone would misplace surrogates.</summary>
    private static int CompareText(string a, string b)
    {
        var (x, y) = (a.EnumerateRunes(), b.EnumerateRunes());
        while (true)
        {
            var (more, other) = (x.MoveNext(), y.MoveNext());
            if (!more || !other) return more.CompareTo(other);
            if (x.Current != y.Current) return x.Current.CompareTo(y.Current);
        }
    }

    public static IEnumerable<object?> Iterate(object? value) => value switch
    {
        List<object?> list => list,
        DictValue dict => dict.Keys.Select(Key),
        string text => text.EnumerateRunes().Select(rune => (object?)rune.ToString()),
        Markup markup => Iterate(markup.Text),
        Undefined => [],
        IEnumerable<object?> items => items,
        _ => throw new ChatTemplateException($"{TypeName(value)} cannot be iterated."),
    };

    public static object? Key(object? key) => ReferenceEquals(key, NoneKey) ? null : key;

    public static string TypeName(object? value) => value switch
    {
        null => "None",
        Undefined undefined => $"'{undefined.Name}' is undefined, which",
        bool => "A boolean",
        BigInteger => "An integer",
        double => "A float",
        string => "A string",
        TupleValue => "A tuple",
        List<object?> => "A list",
        DictValue => "A dictionary",
        Markup => "A text",
        GeneratorValue => "A generator",
        _ => "This value",
    };

    /// <summary>str(value), as output prints it.</summary>
    public static string Text(object? value, int depth = 0) => value switch
    {
        null => "None",
        string text => text,
        Undefined => "",
        Markup markup => markup.Text,
        _ => Repr(value, depth),
    };

    /// <summary>repr(value), as lists and dictionaries print their items.</summary>
    public static string Repr(object? value, int depth = 0)
    {
        if (depth > MaximumDepth) throw new ChatTemplateException($"A value is nested deeper than {MaximumDepth}.");
        return value switch
        {
            null => "None",
            bool flag => flag ? "True" : "False",
            BigInteger number => number.ToString(CultureInfo.InvariantCulture),
            double number => FloatText(number),
            string text => Quote(text),
            TupleValue { Count: 1 } tuple => $"({Repr(tuple[0], depth + 1)},)",
            TupleValue tuple => $"({string.Join(", ", tuple.Select(item => Repr(item, depth + 1)))})",
            List<object?> list => $"[{string.Join(", ", list.Select(item => Repr(item, depth + 1)))}]",
            DictValue dict => $"{{{string.Join(", ", dict.Select(item => $"{Repr(Key(item.Key), depth + 1)}: {Repr(item.Value, depth + 1)}"))}}}",
            Undefined => "Undefined",
            Markup markup => $"Markup({Quote(markup.Text)})",
            GeneratorValue => "<generator object>",
            NamespaceValue space => $"<Namespace {Repr(space.Attributes, depth + 1)}>",
            _ => "<object>",
        };
    }

    /// <summary>Python's shortest text that reads back as the same float.</summary>
    public static string FloatText(double value)
    {
        if (double.IsNaN(value)) return "nan";
        if (double.IsInfinity(value)) return value > 0 ? "inf" : "-inf";
        var magnitude = Math.Abs(value);
        if (magnitude != 0 && (magnitude >= 1e16 || magnitude < 1e-4))
        {
            var text = value.ToString("E16", CultureInfo.InvariantCulture);
            var shortest = value.ToString("R", CultureInfo.InvariantCulture);
            var exponent = int.Parse(text.AsSpan(text.IndexOf('E') + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            var digits = new string([.. (shortest.IndexOf('E') is var e and >= 0 ? shortest[..e] : shortest).Where(char.IsAsciiDigit)]).TrimStart('0').TrimEnd('0');
            var mantissa = digits.Length > 1 ? $"{digits[0]}.{digits[1..]}" : digits;
            return $"{(value < 0 ? "-" : "")}{mantissa}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        }
        var plain = ((decimal)magnitude == Math.Truncate((decimal)magnitude) ? magnitude.ToString("F1", CultureInfo.InvariantCulture) : magnitude.ToString("R", CultureInfo.InvariantCulture));
        if (plain.Contains('E')) plain = magnitude.ToString("0.####################", CultureInfo.InvariantCulture);
        return double.IsNegative(value) ? "-" + plain : plain;
    }

    private static string Quote(string text)
    {
        var quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        var quoted = new StringBuilder().Append(quote);
        foreach (var c in text)
        {
            if (c == quote || c == '\\') quoted.Append('\\').Append(c);
            else if (c == '\n') quoted.Append("\\n");
            else if (c == '\r') quoted.Append("\\r");
            else if (c == '\t') quoted.Append("\\t");
            else if (c < ' ' || c == 0x7F || (c is >= '\u0080' and < '\u00A1') || c == '\u00AD') quoted.Append($"\\x{(int)c:x2}");
            else quoted.Append(c);
        }
        return quoted.Append(quote).ToString();
    }

    /// <summary>JSON as template values.</summary>
    public static object? FromJson(JsonNode? node, int depth = 0)
    {
        if (depth > MaximumDepth) throw new ChatTemplateException($"The context is nested deeper than {MaximumDepth}.");
        switch (node)
        {
            case null: return null;
            case JsonArray array: return array.Select(item => FromJson(item, depth + 1)).ToList();
            case JsonObject fields:
                var dict = new DictValue();
                foreach (var (name, value) in fields) dict[name] = FromJson(value, depth + 1);
                return dict;
        }
        switch (node.GetValueKind())
        {
            case System.Text.Json.JsonValueKind.String: return node.GetValue<string>();
            case System.Text.Json.JsonValueKind.True: return true;
            case System.Text.Json.JsonValueKind.False: return false;
            default:
                var text = node.ToJsonString();
                return BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
                    ? number : double.Parse(text, CultureInfo.InvariantCulture);
        }
    }

    private sealed class Keys : IEqualityComparer<object>
    {
        public new bool Equals(object? a, object? b) => Values.Equals(a, b);

        public int GetHashCode(object key) => key switch
        {
            string text => text.GetHashCode(StringComparison.Ordinal),
            bool or BigInteger or double => ToDouble(key).GetHashCode(),
            TupleValue tuple => tuple.Aggregate(tuple.Count, (hash, item) => HashCode.Combine(hash, item is null ? 0 : GetHashCode(item))),
            List<object?> or DictValue => throw new ChatTemplateException($"{TypeName(key)} cannot be a dictionary's key."),
            _ => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(key),
        };
    }
}

/// <summary>The evaluated arguments of a call.</summary>
internal sealed record CallArguments(IReadOnlyList<object?> Positional, IReadOnlyDictionary<string, object?> Named)
{
    public static readonly CallArguments None = new([], new Dictionary<string, object?>());

    public int Count => Positional.Count + Named.Count;

    /// <summary>The argument at a position or under a name, or the default.</summary>
    public object? Get(int position, string name, object? otherwise = null) =>
        position < Positional.Count ? Positional[position] : Named.TryGetValue(name, out var value) ? value : otherwise;

    public object? Require(int position, string name, string of) =>
        position < Positional.Count || Named.ContainsKey(name) ? Get(position, name) : throw new ChatTemplateException($"{of} needs the argument '{name}'.");
}
