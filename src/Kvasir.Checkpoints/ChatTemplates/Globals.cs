using System.Globalization;
using System.Numerics;
using System.Text;

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>Functions that every template may call.</summary>
internal sealed class Globals
{
    private const int MaximumRange = 1_000_000;

    private readonly Dictionary<string, object?> _values;

    public Globals(DateTimeOffset now) => _values = new()
    {
        ["range"] = (Callable)Range,
        ["dict"] = (Callable)Dict,
        ["namespace"] = (Callable)(arguments => new NamespaceValue(Dict(arguments))),
        ["cycler"] = (Callable)(arguments => new CyclerValue(arguments.Positional)),
        ["joiner"] = (Callable)Joiner,
        ["raise_exception"] = (Callable)(arguments => throw new ChatTemplateException(Values.Text(arguments.Require(0, "message", "raise_exception")))),
        ["strftime_now"] = (Callable)(arguments => TimeFormat.Apply(now, Values.Text(arguments.Require(0, "format", "strftime_now")))),
    };

    public object? Find(string name) => _values.GetValueOrDefault(name);

    private static DictValue Dict(CallArguments arguments)
    {
        var dict = new DictValue();
        if (arguments.Positional.Count > 0)
        {
            if (arguments.Positional[0] is DictValue source) foreach (var (key, value) in source) dict[Values.Key(key)] = value;
            else foreach (var pair in Values.Iterate(arguments.Positional[0]))
                dict[Members.Item(pair, BigInteger.Zero)] = Members.Item(pair, BigInteger.One);
        }
        foreach (var (name, value) in arguments.Named) dict[name] = value;
        return dict;
    }

    private static List<object?> Range(CallArguments arguments)
    {
        var bounds = arguments.Positional.Select(Values.ToIndex).ToArray();
        var (start, stop, step) = bounds.Length switch
        {
            1 => (0, bounds[0], 1),
            2 => (bounds[0], bounds[1], 1),
            3 => (bounds[0], bounds[1], bounds[2]),
            _ => throw new ChatTemplateException("range takes one to three numbers."),
        };
        if (step == 0) throw new ChatTemplateException("range's step cannot be zero.");
        var items = new List<object?>();
        for (long i = start; step > 0 ? i < stop : i > stop; i += step)
        {
            if (items.Count == MaximumRange) throw new ChatTemplateException($"A range has more than {MaximumRange} numbers.");
            items.Add((BigInteger)i);
        }
        return items;
    }

    private static object Joiner(CallArguments arguments)
    {
        var separator = Values.Text(arguments.Get(0, "sep", ", "));
        var used = false;
        return (Callable)(_ =>
        {
            if (used) return separator;
            used = true;
            return "";
        });
    }
}

/// <summary>What <c>cycler(…)</c> gives.</summary>
internal sealed class CyclerValue(IReadOnlyList<object?> items)
{
    private int _at;

    public object? Get(string name) => name switch
    {
        "next" => (Callable)(_ => items[_at++ % items.Count]),
        "reset" => (Callable)(_ => _at = 0),
        "current" => items[_at % items.Count],
        _ => new Undefined(name),
    };
}

/// <summary>Python's strftime.</summary>
internal static class TimeFormat
{
    public static string Apply(DateTimeOffset time, string format)
    {
        var text = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }
            var plain = format[i + 1] == '-' && i + 2 < format.Length;
            if (plain) i++;
            var part = Part(time, format[++i]);
            text.Append(plain && part.Length > 1 ? part.TrimStart('0') is { Length: > 0 } trimmed ? trimmed : "0" : part);
        }
        return text.ToString();
    }

    private static string Part(DateTimeOffset time, char directive) => directive switch
    {
        'Y' => time.Year.ToString("0000", CultureInfo.InvariantCulture),
        'y' => time.ToString("yy", CultureInfo.InvariantCulture),
        'm' => time.ToString("MM", CultureInfo.InvariantCulture),
        'd' => time.ToString("dd", CultureInfo.InvariantCulture),
        'e' => time.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2),
        'B' => time.ToString("MMMM", CultureInfo.InvariantCulture),
        'b' or 'h' => time.ToString("MMM", CultureInfo.InvariantCulture),
        'A' => time.ToString("dddd", CultureInfo.InvariantCulture),
        'a' => time.ToString("ddd", CultureInfo.InvariantCulture),
        'H' => time.ToString("HH", CultureInfo.InvariantCulture),
        'I' => time.ToString("hh", CultureInfo.InvariantCulture),
        'M' => time.ToString("mm", CultureInfo.InvariantCulture),
        'S' => time.ToString("ss", CultureInfo.InvariantCulture),
        'p' => time.Hour < 12 ? "AM" : "PM",
        'j' => time.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
        'f' => time.ToString("ffffff", CultureInfo.InvariantCulture),
        'w' => ((int)time.DayOfWeek).ToString(CultureInfo.InvariantCulture),
        'u' => (time.DayOfWeek == DayOfWeek.Sunday ? 7 : (int)time.DayOfWeek).ToString(CultureInfo.InvariantCulture),
        'F' => time.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        'T' or 'X' => time.ToString("HH:mm:ss", CultureInfo.InvariantCulture),
        'R' => time.ToString("HH:mm", CultureInfo.InvariantCulture),
        'D' or 'x' => time.ToString("MM/dd/yy", CultureInfo.InvariantCulture),
        'c' => $"{time.ToString("ddd MMM", CultureInfo.InvariantCulture)} {time.Day,2} {time.ToString("HH:mm:ss yyyy", CultureInfo.InvariantCulture)}",
        'z' or 'Z' => "",
        'n' => "\n",
        't' => "\t",
        '%' => "%",
        _ => $"%{directive}",
    };
}
