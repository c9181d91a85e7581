using System.Numerics;
using System.Text;

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>Attributes, items, slices and membership of values.</summary>
internal static class Members
{
    /// <summary>value.name: an attribute or method, else an item of that name.</summary>
    public static object? Attribute(object? value, string name)
    {
        value = Markup.Plain(value);
        switch (value)
        {
            case Undefined undefined: throw new ChatTemplateException($"'{undefined.Name}' is undefined and has no attribute '{name}'.");
            case NamespaceValue space: return space.Attributes.TryGet(name, out var held) ? held : new Undefined(name);
            case LoopValue loop: return loop.Get(name);
            case CyclerValue cycler: return cycler.Get(name);
            case string text when TextMethods.Find(text, name) is { } method: return method;
            case DictValue dict when DictMethod(dict, name) is { } method: return method;
            case List<object?> list when ListMethod(list, name) is { } method: return method;
            case DictValue dict: return dict.TryGet(name, out var item) ? item : new Undefined(name);
            default: return new Undefined(name);
        }
    }

    /// <summary>value[index]: an item, else an attribute of that name.</summary>
    public static object? Item(object? value, object? index)
    {
        (value, index) = (Markup.Plain(value), Markup.Plain(index));
        switch (value)
        {
            case Undefined undefined: throw new ChatTemplateException($"'{undefined.Name}' is undefined and has no items.");
            case DictValue dict when dict.TryGet(index, out var item): return item;
            case List<object?> list when Values.Number(index) is not null:
                var at = Values.ToIndex(index);
                if (at < 0) at += list.Count;
                return at >= 0 && at < list.Count ? list[at] : new Undefined($"item {Values.Text(index)}");
            case string text when Values.Number(index) is not null:
                var runes = text.EnumerateRunes().ToArray();
                var place = Values.ToIndex(index);
                if (place < 0) place += runes.Length;
                return place >= 0 && place < runes.Length ? runes[place].ToString() : new Undefined($"item {Values.Text(index)}");
        }
        return index is string name ? Attribute(value, name) : new Undefined(Values.Text(index));
    }

    public static object? Slice(object? value, object? start, object? stop, object? step)
    {
        var stride = step is null ? 1 : Values.ToIndex(step);
        if (stride == 0) throw new ChatTemplateException("A slice's step cannot be zero.");
        switch (Markup.Plain(value))
        {
            case string text:
                var sliced = new StringBuilder();
                foreach (var rune in Taken(text.EnumerateRunes().ToArray(), start, stop, stride)) sliced.Append(rune.ToString());
                return sliced.ToString();
            case TupleValue tuple: return new TupleValue(Taken(tuple, start, stop, stride));
            case List<object?> list: return Taken(list, start, stop, stride).ToList();
            case Undefined undefined: throw new ChatTemplateException($"'{undefined.Name}' is undefined and cannot be sliced.");
            default: throw new ChatTemplateException($"{Values.TypeName(value)} cannot be sliced.");
        }
    }

    public static bool Contains(object? container, object? item) => Markup.Plain(container) switch
    {
        string text => Markup.Plain(item) is string part ? text.Contains(part, StringComparison.Ordinal) : throw new ChatTemplateException($"{Values.TypeName(item)} cannot be in a text."),
        DictValue dict => dict.TryGet(item, out _),
        NamespaceValue space => space.Attributes.TryGet(item, out _),
        _ => Values.Iterate(container).Any(other => Values.Equals(other, item)),
    };

    private static IEnumerable<T> Taken<T>(IReadOnlyList<T> items, object? start, object? stop, int step)
    {
        var count = items.Count;
        int Bound(object? value, int otherwise, int low, int high)
        {
            if (value is null) return otherwise;
            var at = Values.ToIndex(value);
            return Math.Clamp(at < 0 ? at + count : at, low, high);
        }
        if (step > 0)
        {
            var end = Bound(stop, count, 0, count);
            for (long i = Bound(start, 0, 0, count); i < end; i += step) yield return items[(int)i];
            yield break;
        }
        var last = Bound(stop, -1, -1, count - 1);
        for (long i = Bound(start, count - 1, -1, count - 1); i > last; i += step) yield return items[(int)i];
    }

    private static Callable? DictMethod(DictValue dict, string name) => name switch
    {
        "items" => _ => dict.Select(item => (object?)new TupleValue([Values.Key(item.Key), item.Value])).ToList(),
        "keys" => _ => dict.Keys.Select(Values.Key).ToList(),
        "values" => _ => dict.Items.ToList(),
        "get" => arguments => dict.TryGet(arguments.Require(0, "key", "get"), out var value) ? value : arguments.Get(1, "default"),
        "copy" => _ => Copy(dict),
        "pop" or "popitem" or "update" or "setdefault" or "clear" => Immutable(name),
        _ => null,
    };

    private static Callable? ListMethod(List<object?> list, string name) => name switch
    {
        "count" => arguments => (BigInteger)list.Count(item => Values.Equals(item, arguments.Require(0, "value", "count"))),
        "index" => arguments => list.FindIndex(item => Values.Equals(item, arguments.Require(0, "value", "index"))) is var at and >= 0
            ? (BigInteger)at : throw new ChatTemplateException("index: the value is not in the list."),
        "copy" when list is not TupleValue => _ => list.ToList(),
        "append" or "extend" or "insert" or "pop" or "remove" or "reverse" or "sort" or "clear" when list is not TupleValue => Immutable(name),
        _ => null,
    };

    private static DictValue Copy(DictValue dict)
    {
        var copy = new DictValue();
        foreach (var (key, value) in dict) copy[Values.Key(key)] = value;
        return copy;
    }

    /// <summary>Chat templates run in Jinja's immutable sandbox, where changing a list or dictionary is an error.</summary>
    private static Callable Immutable(string name) => _ => throw new ChatTemplateException($"'{name}' would change a value, which templates may not do.");
}
