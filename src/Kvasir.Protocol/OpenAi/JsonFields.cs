using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Kvasir.Protocol.OpenAi;

/// <summary>
/// Reads the fields of one JSON object from an untrusted body. A field that is absent or null reads as null; the first field
/// of a wrong type or range is kept as <see cref="Failure"/> and reads as null from then on, so that a reader can read
/// everything and look once.
/// </summary>
public sealed class JsonFields
{
    /// <summary>Objects and arrays within each other; deeper bodies are refused before they are read.</summary>
    public const int MaxDepth = 64;

    private static readonly UTF8Encoding StrictUtf8 = new(false, true);
    private readonly JsonElement element;
    private readonly string prefix;
    private readonly JsonFields? parent;
    private RequestFailure? failure;

    private JsonFields(JsonElement element, string prefix, JsonFields? parent)
    {
        this.element = element;
        this.prefix = prefix;
        this.parent = parent;
    }

    /// <summary>The first thing that was wrong, or null.</summary>
    public RequestFailure? Failure => parent is null ? failure : parent.Failure;

    /// <summary>Parses a body: JSON, UTF-8, an object, no deeper than <see cref="MaxDepth"/>.</summary>
    public static JsonFields? Parse(ReadOnlyMemory<byte> body, out RequestFailure? failure)
    {
        failure = null;
        try
        {
            StrictUtf8.GetCharCount(body.Span);
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = MaxDepth });
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                return new JsonFields(document.RootElement.Clone(), "", null);
            failure = new RequestFailure(FailureKind.InvalidJson, $"The body is {Describe(document.RootElement)}; a JSON object was expected.");
        }
        catch (DecoderFallbackException)
        {
            failure = new RequestFailure(FailureKind.InvalidJson, "The body is not valid UTF-8.");
        }
        catch (JsonException error)
        {
            failure = new RequestFailure(FailureKind.InvalidJson, body.IsEmpty
                ? "The body is empty; a JSON object was expected."
                : $"The body is not valid JSON: line {error.LineNumber + 1}, byte {error.BytePositionInLine + 1} (nesting is allowed to a depth of {MaxDepth}).");
        }
        return null;
    }

    /// <summary>Whether the field is there and not null.</summary>
    public bool Has(string name) => Find(name) is not null;

    /// <summary>The field's JSON, whatever its type.</summary>
    public JsonElement? Raw(string name) => Find(name);

    /// <summary>Keeps a failure unless there is an earlier one.</summary>
    public void Fail(FailureKind kind, string message, string? param = null)
    {
        if (parent is not null) parent.Fail(kind, message, param);
        else failure ??= new RequestFailure(kind, message, param);
    }

    /// <summary>The field's path from the body's root.</summary>
    public string PathOf(string name) => prefix.Length == 0 ? name : $"{prefix}.{name}";

    /// <summary>Text; lone surrogates are refused.</summary>
    public string? Text(string name) => Find(name) is { } value ? TextOf(value, PathOf(name)) : null;

    /// <summary>Text that must be there.</summary>
    public string RequiredText(string name)
    {
        if (Find(name) is not null) return Text(name) ?? "";
        Missing(name);
        return "";
    }

    /// <summary>Says that the field must be there.</summary>
    public void Missing(string name) =>
        Fail(FailureKind.MissingField, $"Missing required parameter: '{PathOf(name)}'.", PathOf(name));

    /// <summary>True or false.</summary>
    public bool? Flag(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } other => WrongType<bool>(PathOf(name), "a boolean", other),
    };

    /// <summary>A number between the bounds, both included.</summary>
    public double? Number(string name, double minimum, double maximum)
    {
        if (Find(name) is not { } value) return null;
        if (value.ValueKind != JsonValueKind.Number) return WrongType<double>(PathOf(name), "a number", value);
        if (value.TryGetDouble(out var number) && number >= minimum && number <= maximum) return number;
        Fail(FailureKind.InvalidValue, $"Invalid '{PathOf(name)}': {Shorten(value.GetRawText())} is not {Range(minimum, maximum)}.", PathOf(name));
        return null;
    }

    /// <summary>A whole number between the bounds, both included.</summary>
    public long? Integer(string name, long minimum, long maximum) =>
        Find(name) is { } value ? IntegerOf(value, PathOf(name), minimum, maximum) : null;

    /// <summary>An object.</summary>
    public JsonFields? Object(string name)
    {
        if (Find(name) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Object) return new JsonFields(value, PathOf(name), this);
        WrongType<int>(PathOf(name), "an object", value);
        return null;
    }

    /// <summary>An array of objects.</summary>
    public IReadOnlyList<JsonFields>? Objects(string name)
    {
        if (Elements(name) is not { } elements) return null;
        var objects = new List<JsonFields>();
        foreach (var (value, path) in elements)
        {
            if (value.ValueKind == JsonValueKind.Object) objects.Add(new JsonFields(value, path, this));
            else WrongType<int>(path, "an object", value);
        }
        return objects;
    }

    /// <summary>An array's elements with their paths.</summary>
    public IReadOnlyList<(JsonElement Value, string Path)>? Elements(string name)
    {
        if (Find(name) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Array)
            return [.. value.EnumerateArray().Select((item, index) => (item, $"{PathOf(name)}[{index}]"))];
        WrongType<int>(PathOf(name), "an array", value);
        return null;
    }

    /// <summary>The object's members with their paths.</summary>
    public IReadOnlyList<(string Name, JsonElement Value, string Path)> Members()
    {
        var members = new List<(string, JsonElement, string)>();
        foreach (var property in element.EnumerateObject())
        {
            if (NameOf(property) is { } name) members.Add((name, property.Value, PathOf(name)));
        }
        return members;
    }

    /// <summary>The text of a value; anything else is a failure at <paramref name="path"/>.</summary>
    public string? TextOf(JsonElement value, string path)
    {
        if (value.ValueKind != JsonValueKind.String)
        {
            WrongType<int>(path, "a string", value);
            return null;
        }
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            Fail(FailureKind.InvalidValue, $"Invalid '{path}': the string holds a lone surrogate (half of a UTF-16 pair).", path);
            return null;
        }
    }

    /// <summary>The whole number of a value; anything else is a failure at <paramref name="path"/>.</summary>
    public long? IntegerOf(JsonElement value, string path, long minimum, long maximum)
    {
        if (value.ValueKind != JsonValueKind.Number) return WrongType<long>(path, "an integer", value);
        if (value.TryGetInt64(out var number) || IsWhole(value, out number))
        {
            if (number >= minimum && number <= maximum) return number;
            Fail(FailureKind.InvalidValue, $"Invalid '{path}': {number} is not {Range(minimum, maximum)}.", path);
            return null;
        }
        Fail(FailureKind.InvalidValue, $"Invalid '{path}': {Shorten(value.GetRawText())} is not an integer {Range(minimum, maximum)}.", path);
        return null;
    }

    /// <summary>Keeps a failure that says which type was expected.</summary>
    public T? WrongType<T>(string path, string expected, JsonElement value) where T : struct
    {
        Fail(FailureKind.InvalidType, $"Invalid type for '{path}': expected {expected}, but got {Describe(value)} instead.", path);
        return null;
    }

    private JsonElement? Find(string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private string? NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            Fail(FailureKind.InvalidValue, $"A name in '{prefix}' holds a lone surrogate (half of a UTF-16 pair).", prefix);
            return null;
        }
    }

    // 3.0 and 3e2 are integers to JSON, though not to TryGetInt64.
    private static bool IsWhole(JsonElement value, out long number)
    {
        number = 0;
        if (!value.TryGetDouble(out var real) || real != Math.Floor(real) || Math.Abs(real) > 9e15) return false;
        number = (long)real;
        return true;
    }

    private static string Range(double minimum, double maximum) => (minimum, maximum) switch
    {
        ( <= -1e15, >= 1e15) => "a number of at most 15 digits",
        (_, >= 1e15) => string.Create(CultureInfo.InvariantCulture, $"at least {minimum}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"between {minimum} and {maximum}"),
    };

    private static string Range(long minimum, long maximum) => maximum == long.MaxValue
        ? $"at least {minimum}"
        : $"between {minimum} and {maximum}";

    private static string Shorten(string text) => text.Length <= 40 ? text : text[..40] + "…";

    private static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        JsonValueKind.Array => "an array",
        JsonValueKind.Object => "an object",
        _ => "null",
    };
}
