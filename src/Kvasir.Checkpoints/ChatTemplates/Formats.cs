using System.Globalization;
using System.Text;

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>"%s is %d" % (…), the conversions that templates use.</summary>
internal static class PercentFormat
{
    public static string Apply(string format, object? operand)
    {
        var values = operand is TupleValue tuple ? tuple : (IReadOnlyList<object?>)[operand];
        var (result, used) = (new StringBuilder(), 0);
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                result.Append(format[i]);
                continue;
            }
            if (format[++i] == '%')
            {
                result.Append('%');
                continue;
            }
            var spec = i;
            while (i < format.Length && "0123456789.-+ #".Contains(format[i])) i++;
            if (i == format.Length || used == values.Count) throw new ChatTemplateException("A text format has too few values.");
            result.Append(NumberFormat.Apply(values[used++], format[spec..i] + format[i]));
        }
        if (used < values.Count && operand is not DictValue) throw new ChatTemplateException("A text format has too many values.");
        return result.ToString();
    }
}

/// <summary>"{} and {name}".format(…).</summary>
internal static class BraceFormat
{
    public static string Apply(string format, CallArguments arguments)
    {
        var (result, next) = (new StringBuilder(), 0);
        for (var i = 0; i < format.Length; i++)
        {
            if (i + 1 < format.Length && format[i] is '{' or '}' && format[i + 1] == format[i]) result.Append(format[i++]);
            else if (format[i] != '{') result.Append(format[i]);
            else
            {
                var end = format.IndexOf('}', i);
                if (end < 0) throw new ChatTemplateException("A text format has an open brace.");
                var parts = format[(i + 1)..end].Split(':', 2);
                var value = parts[0].Length == 0 ? arguments.Require(next++, "", "format")
                    : int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var place) ? arguments.Require(place, "", "format")
                    : arguments.Require(int.MaxValue, parts[0], "format");
                result.Append(parts.Length == 1 || parts[1].Length == 0 ? Values.Text(value) : NumberFormat.Apply(value, parts[1]));
                i = end;
            }
        }
        return result.ToString();
    }
}

/// <summary>One conversion: flags, width, precision, type.</summary>
internal static class NumberFormat
{
    public static string Apply(object? value, string spec)
    {
        var type = spec.Length > 0 && char.IsLetter(spec[^1]) ? spec[^1] : 's';
        var body = spec.TrimEnd(type);
        var flags = body.TakeWhile(c => "-+ 0#<>^,".Contains(c)).ToArray();
        var numbers = body[flags.Length..].Replace(",", "", StringComparison.Ordinal).Split('.');
        var width = int.TryParse(numbers[0], CultureInfo.InvariantCulture, out var w) ? Math.Min(w, 1 << 16) : 0;
        var precision = numbers.Length > 1 && int.TryParse(numbers[1], CultureInfo.InvariantCulture, out var p) ? Math.Min(p, 64) : -1;
        var text = type switch
        {
            'd' or 'i' => Math.Truncate(Values.ToDouble(value)) is var whole && Values.Number(value) is { } number ? number.ToString(CultureInfo.InvariantCulture) : whole.ToString("F0", CultureInfo.InvariantCulture),
            'f' or 'F' => Values.ToDouble(value).ToString($"F{(precision < 0 ? 6 : precision)}", CultureInfo.InvariantCulture),
            'x' => Values.Number(value)!.Value.ToString("x", CultureInfo.InvariantCulture).TrimStart('0') is { Length: > 0 } hex ? hex : "0",
            'r' => Values.Repr(value),
            _ => precision >= 0 && value is not double ? Values.Text(value)[..Math.Min(precision, Values.Text(value).Length)] : Values.Text(value),
        };
        if (flags.Contains('+') && type != 's' && !text.StartsWith('-')) text = "+" + text;
        if (flags.Contains('-') || flags.Contains('<')) return text.PadRight(width);
        return flags.Contains('0') ? text.PadLeft(width, '0') : text.PadLeft(width);
    }
}
