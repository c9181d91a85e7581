using System.Collections.Frozen;
using System.Numerics;
using System.Text;

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>What may follow a bar.</summary>
internal sealed partial class Filters(Evaluator evaluator, Action<int> tick)
{
    private delegate object? Filter(Filters filters, object? value, CallArguments arguments);

    private static readonly FrozenDictionary<string, Filter> All = new Dictionary<string, Filter>
    {
        ["abs"] = (_, v, _) => v is double d ? Math.Abs(d) : BigInteger.Abs(Whole(v)),
        ["attr"] = (_, v, a) => Members.Attribute(v, Values.Text(a.Require(0, "name", "attr"))),
        ["batch"] = (_, v, a) => new GeneratorValue(Batch(v, a)),
        ["capitalize"] = (_, v, _) => TextMethods.Capitalize(Values.Text(v)),
        ["center"] = (_, v, a) => TextMethods.Find(Values.Text(v), "center")!(new CallArguments([a.Get(0, "width", (BigInteger)80)], a.Named)),
        ["count"] = (_, v, _) => Length(v),
        ["d"] = (_, v, a) => Default(v, a),
        ["default"] = (_, v, a) => Default(v, a),
        ["dictsort"] = (_, v, a) => DictSort(v, a),
        ["e"] = (_, v, _) => new Markup(Markup.Escape(v)),
        ["escape"] = (_, v, _) => new Markup(Markup.Escape(v)),
        ["first"] = (_, v, _) => Values.Iterate(v).DefaultIfEmpty(new Undefined("first")).First(),
        ["float"] = (_, v, a) => ToFloat(v, a),
        ["forceescape"] = (_, v, _) => new Markup(Markup.Escape(Markup.Plain(v))),
        ["format"] = (_, v, a) => PercentFormat.Apply(Values.Text(v), new TupleValue(a.Positional)),
        ["from_json"] = (_, v, _) => FromJson(v),
        ["groupby"] = (_, v, a) => GroupBy(v, a),
        ["indent"] = (_, v, a) => Indent(Values.Text(v), a),
        ["int"] = (_, v, a) => ToInteger(v, a),
        ["items"] = (_, v, _) => v is Undefined ? new List<object?>() : ((Callable)Members.Attribute(v as DictValue ?? throw new ChatTemplateException("items needs a dictionary."), "items")!)(CallArguments.None),
        ["join"] = (_, v, a) => Join(v, a),
        ["last"] = (_, v, _) => Values.Iterate(v).DefaultIfEmpty(new Undefined("last")).Last(),
        ["length"] = (_, v, _) => Length(v),
        ["list"] = (_, v, _) => Values.Iterate(v).ToList(),
        ["lower"] = (_, v, _) => Values.Text(v).ToLowerInvariant(),
        ["map"] = (f, v, a) => f.Map(v, a),
        ["max"] = (_, v, a) => Extreme(v, a, 1),
        ["min"] = (_, v, a) => Extreme(v, a, -1),
        ["pprint"] = (_, v, _) => Values.Repr(v),
        ["reject"] = (f, v, a) => f.Select(v, a, keep: false, byAttribute: false),
        ["rejectattr"] = (f, v, a) => f.Select(v, a, keep: false, byAttribute: true),
        ["replace"] = (_, v, a) => TextMethods.Replace(Values.Text(v), Values.Text(a.Require(0, "old", "replace")), Values.Text(a.Require(1, "new", "replace")), a.Get(2, "count")),
        ["reverse"] = (_, v, _) => v is string text ? string.Concat(text.EnumerateRunes().Reverse().Select(rune => rune.ToString())) : Values.Iterate(v).Reverse().ToList(),
        ["round"] = (_, v, a) => Round(v, a),
        ["safe"] = (_, v, _) => new Markup(Values.Text(v)),
        ["select"] = (f, v, a) => f.Select(v, a, keep: true, byAttribute: false),
        ["selectattr"] = (f, v, a) => f.Select(v, a, keep: true, byAttribute: true),
        ["slice"] = (_, v, a) => new GeneratorValue(Columns(v, a)),
        ["sort"] = (_, v, a) => Sort(v, a),
        ["string"] = (_, v, _) => Values.Text(v),
        ["striptags"] = (_, v, _) => string.Join(' ', Tags().Replace(Values.Text(v), "").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)),
        ["sum"] = (_, v, a) => Values.Iterate(v).Select(item => a.Get(0, "attribute") is { } path ? Deep(item, path) : item)
            .Aggregate(a.Get(1, "start", BigInteger.Zero), (sum, item) => Arithmetic.Apply("+", sum, item)),
        ["title"] = (_, v, _) => TextMethods.Title(Values.Text(v)),
        ["tojson"] = (_, v, a) => JsonText.Write(v is Undefined ? throw new ChatTemplateException($"'{((Undefined)v).Name}' is undefined and cannot be written as JSON.") : v, Shifted(a)),
        ["trim"] = (_, v, a) => TextMethods.Strip(Values.Text(v), a.Get(0, "chars"), true, true),
        ["truncate"] = (_, v, a) => Truncate(Values.Text(v), a),
        ["unique"] = (_, v, a) => new GeneratorValue(Unique(v, a)),
        ["upper"] = (_, v, _) => Values.Text(v).ToUpperInvariant(),
        ["urlencode"] = (_, v, _) => Uri.EscapeDataString(Values.Text(v)).Replace("%2F", "/", StringComparison.Ordinal),
        ["wordcount"] = (_, v, _) => (BigInteger)Words().Count(Values.Text(v)),
    }.ToFrozenDictionary();

    public static bool IsKnown(string name) => All.ContainsKey(name);

    public object? Apply(string name, object? value, CallArguments arguments)
    {
        _ = evaluator;
        tick(1);
        return All.TryGetValue(name, out var filter) ? filter(this, name is "e" or "escape" or "forceescape" ? value : Markup.Plain(value), arguments)
            : throw new ChatTemplateException($"There is no filter named '{name}'.");
    }

    /// <summary>Lazy filters read a value that is false as an empty one.</summary>
    private static IEnumerable<object?> Lazy(object? value) => Values.IsTrue(value) ? Values.Iterate(value) : [];

    private GeneratorValue Map(object? value, CallArguments arguments)
    {
        if (arguments.Named.TryGetValue("attribute", out var path))
            return new(Lazy(value).Select(item => Deep(item, path) is Undefined && arguments.Named.TryGetValue("default", out var other) ? other : Deep(item, path)).ToList());
        var name = Values.Text(arguments.Require(0, "filter", "map"));
        var rest = new CallArguments([.. arguments.Positional.Skip(1)], arguments.Named);
        return new(Lazy(value).Select(item => Apply(name, item, rest)).ToList());
    }

    private GeneratorValue Select(object? value, CallArguments arguments, bool keep, bool byAttribute)
    {
        var skipped = byAttribute ? 1 : 0;
        var path = byAttribute ? arguments.Require(0, "attribute", "selectattr") : null;
        var test = arguments.Positional.Count > skipped ? Values.Text(arguments.Positional[skipped]) : null;
        var rest = new CallArguments([.. arguments.Positional.Skip(skipped + 1)], arguments.Named);
        return new(Lazy(value).Where(item =>
        {
            tick(1);
            var tested = byAttribute ? Deep(item, path) : item;
            return (test is null ? Values.IsTrue(tested) : Tests.Apply(test, tested, rest)) == keep;
        }).ToList());
    }

    /// <summary>An attribute path: "function.name", or an index.</summary>
    private static object? Deep(object? value, object? path)
    {
        if (path is not string text) return Members.Item(value, path);
        foreach (var part in text.Split('.'))
            value = Members.Item(value, BigInteger.TryParse(part, out var index) ? index : part);
        return value;
    }

    /// <summary>tojson's own arguments come after the value that the filter gets.</summary>
    private static CallArguments Shifted(CallArguments arguments) => new([null, .. arguments.Positional], arguments.Named);

    private static BigInteger Whole(object? value) => Values.Number(value) ?? throw new ChatTemplateException($"{Values.TypeName(value)} is not an integer.");

    [System.Text.RegularExpressions.GeneratedRegex("<!--.*?-->|<[^>]*>", System.Text.RegularExpressions.RegexOptions.Singleline | System.Text.RegularExpressions.RegexOptions.NonBacktracking)]
    private static partial System.Text.RegularExpressions.Regex Tags();

    [System.Text.RegularExpressions.GeneratedRegex(@"\w+")]
    private static partial System.Text.RegularExpressions.Regex Words();
}
