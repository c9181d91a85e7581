using System.Text.Json;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>Optional members of JSON objects.</summary>
internal static class JsonReading
{
    /// <summary>A text; null where it is missing or something else.</summary>
    public static string? Text(this JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>A flag; <paramref name="otherwise"/> where it is missing or something else.</summary>
    public static bool Flag(this JsonElement json, string name, bool otherwise) => json.OptionalFlag(name) ?? otherwise;

    /// <summary>A flag; null where it is missing or something else.</summary>
    public static bool? OptionalFlag(this JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : null;

    /// <summary>A member; undefined where it is missing.</summary>
    public static JsonElement Member(this JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) ? value : default;

    /// <summary>A number; null where it is missing or something else.</summary>
    public static double? Number(this JsonElement json, string name) =>
        json.Member(name) is { ValueKind: JsonValueKind.Number } value ? value.GetDouble() : null;
}
