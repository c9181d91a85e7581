using System.Globalization;
using System.Numerics;
using System.Text;

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>json.dumps with ensure_ascii=False, as Hugging Face's <c>tojson</c> prints.</summary>
internal sealed class JsonText(string? indent, string itemSeparator, string keySeparator, bool sortKeys, bool asciiOnly)
{
    private const int MaximumDepth = 100;

    private readonly StringBuilder _text = new();

    public static string Write(object? value, CallArguments arguments)
    {
        var indent = arguments.Get(2, "indent") switch
        {
            null => null,
            string text => text,
            var number => new string(' ', Math.Clamp(Values.ToIndex(number), 0, 64)),
        };
        var (item, key) = indent is null ? (", ", ": ") : (",", ": ");
        if (arguments.Get(3, "separators") is List<object?> { Count: 2 } separators) (item, key) = (Values.Text(separators[0]), Values.Text(separators[1]));
        var writer = new JsonText(indent, item, key, Values.IsTrue(arguments.Get(4, "sort_keys", false)), Values.IsTrue(arguments.Get(1, "ensure_ascii", false)));
        writer.Write(value, 0);
        return writer._text.ToString();
    }

    private void Write(object? value, int depth)
    {
        if (depth > MaximumDepth) throw new ChatTemplateException($"A value is nested deeper than {MaximumDepth}.");
        switch (value)
        {
            case null: _text.Append("null"); break;
            case bool flag: _text.Append(flag ? "true" : "false"); break;
            case BigInteger number: _text.Append(number.ToString(CultureInfo.InvariantCulture)); break;
            case double number: _text.Append(double.IsNaN(number) ? "NaN" : double.IsInfinity(number) ? number > 0 ? "Infinity" : "-Infinity" : Values.FloatText(number)); break;
            case string text: WriteString(text); break;
            case Markup markup: WriteString(markup.Text); break;
            case List<object?> list: WriteItems('[', ']', list, depth, item => Write(item, depth + 1)); break;
            case DictValue dict:
                IEnumerable<KeyValuePair<object, object?>> items = dict;
                if (sortKeys) items = items.OrderBy(item => Values.Key(item.Key), Comparer<object?>.Create(Values.Compare));
                WriteItems('{', '}', [.. items], depth, item =>
                {
                    WriteKey(Values.Key(item.Key));
                    _text.Append(keySeparator);
                    Write(item.Value, depth + 1);
                });
                break;
            default: throw new ChatTemplateException($"{Values.TypeName(value)} cannot be written as JSON.");
        }
    }

    private void WriteKey(object? key) => WriteString(key switch
    {
        string text => text,
        null => "null",
        bool flag => flag ? "true" : "false",
        _ => Values.Text(key),
    });

    private void WriteItems<T>(char open, char close, IReadOnlyList<T> items, int depth, Action<T> write)
    {
        _text.Append(open);
        for (var i = 0; i < items.Count; i++)
        {
            if (i > 0) _text.Append(itemSeparator);
            NewLine(depth + 1);
            write(items[i]);
        }
        if (items.Count > 0) NewLine(depth);
        _text.Append(close);
    }

    private void NewLine(int depth)
    {
        if (indent is null) return;
        _text.Append('\n');
        for (var i = 0; i < depth; i++) _text.Append(indent);
    }

    private void WriteString(string text)
    {
        _text.Append('"');
        foreach (var c in text)
        {
            _ = c switch
            {
                '"' => _text.Append("\\\""),
                '\\' => _text.Append("\\\\"),
                '\n' => _text.Append("\\n"),
                '\r' => _text.Append("\\r"),
                '\t' => _text.Append("\\t"),
                '\b' => _text.Append("\\b"),
                '\f' => _text.Append("\\f"),
                < ' ' => _text.Append($"\\u{(int)c:x4}"),
                > '~' when asciiOnly => _text.Append($"\\u{(int)c:x4}"),
                _ => _text.Append(c),
            };
        }
        _text.Append('"');
    }
}
