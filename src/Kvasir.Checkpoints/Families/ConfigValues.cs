using System.Text.Json;
using Kvasir.Checkpoints.HuggingFace;

namespace Kvasir.Checkpoints.Families;

/// <summary>
/// Reads a Hugging Face <c>config.json</c> tolerantly: keys of the language model nested in <c>text_config</c> (or
/// <c>llm_config</c>, <c>thinker_config.text_config</c>) are found as if they stood at the top.
/// </summary>
internal sealed class ConfigValues
{
    private static readonly string[] Nested = ["text_config", "llm_config", "language_config", "thinker_config"];
    private readonly JsonElement _text;

    public ConfigValues(JsonElement root, string name)
    {
        if (root.ValueKind != JsonValueKind.Object)
            throw new CheckpointException($"The configuration of {name} is not a JSON object; give the model's own config.json.");
        (Root, Name) = (root, name);
        _text = root;
        for (var depth = 0; depth < 3; depth++)
            foreach (var key in Nested)
                if (_text.TryGetProperty(key, out var inner) && inner.ValueKind == JsonValueKind.Object)
                {
                    _text = inner;
                    break;
                }
    }

    public JsonElement Root { get; }
    public string Name { get; }

    /// <summary>The same values for readers of one level: the language model's own object.</summary>
    public ConfigFields ToFields() => new(_text, Name);

    public bool Has(string key) => TryGet(key, out _);

    public int Required(params string[] keys)
    {
        foreach (var key in keys)
            if (TryGet(key, out var value) && value.ValueKind == JsonValueKind.Number) return Checked(key, value);
        throw new CheckpointException($"The configuration of {Name} does not say {keys[0]}; a plan needs it. Add it, or give the checkpoint itself.");
    }

    public int Int(string key, int otherwise) => IntOrNull(key) ?? otherwise;

    public int? IntOrNull(string key) =>
        TryGet(key, out var value) && value.ValueKind == JsonValueKind.Number ? Checked(key, value) : null;

    public double Number(string key, double otherwise) =>
        TryGet(key, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : otherwise;

    public bool Flag(string key, bool otherwise) => TryGet(key, out var value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False
        ? value.GetBoolean() : otherwise;

    public string? Text(string key) => TryGet(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    public string[]? Texts(string key) => TryGet(key, out var value) && value.ValueKind == JsonValueKind.Array
        ? [.. value.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!)] : null;

    public int[]? Ints(string key)
    {
        if (!TryGet(key, out var value) || value.ValueKind != JsonValueKind.Array) return null;
        return [.. value.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.Number).Select(item => Checked(key, item))];
    }

    public bool TryGet(string key, out JsonElement value) =>
        (_text.TryGetProperty(key, out value) || Root.TryGetProperty(key, out value)) && value.ValueKind != JsonValueKind.Null;

    private int Checked(string key, JsonElement value)
    {
        // Sizes beyond any real model would overflow the arithmetic that follows.
        if (value.TryGetDouble(out var number) && number is >= 0 and <= 100_000_000) return (int)number;
        throw new CheckpointException($"The configuration of {Name} says {key} = {value.GetRawText()}; a size between 0 and 100 million was expected.");
    }
}
