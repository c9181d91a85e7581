using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace Kvasir.Checkpoints.HuggingFace;

/// <summary>
/// Fields of a config.json. A multimodal model's text_config comes first, then the whole file, then what the family's
/// own class would have filled in. A field that is null counts as absent.
/// </summary>
internal sealed class ConfigFields
{
    private readonly ImmutableArray<JsonElement> _objects;
    private readonly ImmutableDictionary<string, double> _defaults;

    private ConfigFields(string source, ImmutableArray<JsonElement> objects, ImmutableDictionary<string, double> defaults) =>
        (Source, _objects, _defaults) = (source, objects, defaults);

    public ConfigFields(JsonElement root, string source)
        : this(source, [root], ImmutableDictionary<string, double>.Empty)
    {
        if (root.ValueKind != JsonValueKind.Object) throw new CheckpointException($"{source} is not a JSON object.");
    }

    /// <summary>The file, for messages.</summary>
    public string Source { get; }

    /// <summary>The same fields, with values for those that are absent.</summary>
    public ConfigFields WithDefaults(ImmutableDictionary<string, double> defaults) => new(Source, _objects, defaults);

    /// <summary>The same fields, where those of the object <paramref name="name"/> come first.</summary>
    public ConfigFields Inside(string name) => new(Source, _objects.Insert(0, Object(name) ?? throw Missing(name)), _defaults);

    public bool Has(string name) => Find(name) is not null;

    public JsonElement? Object(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } value => value,
        { } value => throw Wrong(name, value, "an object"),
    };

    public string? Text(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        { } value => throw Wrong(name, value, "a text"),
    };

    public double? Number(string name)
    {
        if (Find(name) is not { } value) return _defaults.TryGetValue(name, out var fallback) ? fallback : null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number)) return number;
        throw Wrong(name, value, "a finite number");
    }

    public int? Integer(string name) => Number(name) switch
    {
        null => null,
        { } number when number == Math.Floor(number) && Math.Abs(number) <= int.MaxValue => (int)number,
        { } number => throw new CheckpointException($"{Source}: \"{name}\" is {number}; a whole number below 2147483648 was expected."),
    };

    public int RequiredInteger(string name) => Integer(name) ?? throw Missing(name);

    public double RequiredNumber(string name) => Number(name) ?? throw Missing(name);

    public bool? Flag(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw Wrong(name, value, "true or false"),
    };

    public ImmutableArray<string>? Texts(string name)
    {
        if (Array(name) is not { } array) return null;
        return [.. array.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String ? item.GetString()! : throw Wrong(name, item, "a list of texts"))];
    }

    public ImmutableArray<double>? Numbers(string name)
    {
        if (Array(name) is not { } array) return null;
        return [.. array.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.Number && item.TryGetDouble(out var number) && double.IsFinite(number)
            ? number : throw Wrong(name, item, "a list of finite numbers"))];
    }

    private JsonElement? Array(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Array } value => value,
        { } value => throw Wrong(name, value, "a list"),
    };

    public bool TryFind(string name, [NotNullWhen(true)] out JsonElement? value) => (value = Find(name)) is not null;

    private JsonElement? Find(string name)
    {
        foreach (var json in _objects)
            if (json.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null)
                return value;
        return null;
    }

    public CheckpointException Missing(string name) => new($"{Source} lacks \"{name}\", which this kind of model needs.");

    private CheckpointException Wrong(string name, JsonElement value, string expected)
    {
        var text = value.GetRawText();
        return new($"{Source}: \"{name}\" is {(text.Length > 60 ? text[..60] + "…" : text)}; {expected} was expected.");
    }
}
