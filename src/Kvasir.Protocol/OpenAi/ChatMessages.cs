using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Kvasir.Protocol.OpenAi;

/// <summary>Reads OpenAI's messages into the shape that chat templates read.</summary>
public static class ChatMessages
{
    private static readonly string[] Roles = ["system", "developer", "user", "assistant", "tool"];

    /// <summary>
    /// Reads <c>messages</c>. Content parts become one text; <c>developer</c> becomes <c>system</c>, for templates do not know
    /// it; the arguments of tool calls become objects. Other members of a message pass through.
    /// </summary>
    public static JsonArray Read(JsonFields fields)
    {
        var messages = new JsonArray();
        if (!fields.Has("messages"))
        {
            fields.Missing("messages");
            return messages;
        }
        var objects = fields.Objects("messages");
        if (objects is { Count: 0 })
            fields.Fail(FailureKind.InvalidValue, "Invalid 'messages': the array is empty; expected at least one message.", "messages");
        foreach (var message in objects ?? []) messages.Add((JsonNode)ReadMessage(message));
        return messages;
    }

    /// <summary>A field as a mutable tree, or null where it holds text that is not text (lone surrogates).</summary>
    public static JsonNode? ToNode(JsonFields fields, string name) =>
        fields.Raw(name) is { } value ? ToNode(fields, value, fields.PathOf(name)) : null;

    private static JsonNode? ToNode(JsonFields fields, JsonElement value, string path)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                var result = new JsonObject();
                foreach (var property in value.EnumerateObject())
                {
                    if (TryName(property) is { } name) result[name] = ToNode(fields, property.Value, $"{path}.{name}");
                    else fields.Fail(FailureKind.InvalidValue, $"A name in '{path}' holds a lone surrogate (half of a UTF-16 pair).", path);
                }
                return result;
            case JsonValueKind.Array:
                var array = new JsonArray();
                foreach (var item in value.EnumerateArray()) array.Add(ToNode(fields, item, $"{path}[{array.Count}]"));
                return array;
            case JsonValueKind.String: return fields.TextOf(value, path);
            case JsonValueKind.Null: return null;
            default: return JsonValue.Create(value);
        }
    }

    private static string? TryName(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private static JsonObject ReadMessage(JsonFields message)
    {
        var role = message.RequiredText("role");
        if (role.Length > 0 && !Roles.Contains(role))
            message.Fail(FailureKind.InvalidValue,
                $"Invalid '{message.PathOf("role")}': '{Shorten(role)}' is not one of {string.Join(", ", Roles)}.", message.PathOf("role"));
        var result = new JsonObject { ["role"] = role == "developer" ? "system" : role };
        var calls = ReadToolCalls(message);
        if (message.Has("content")) result["content"] = ReadContent(message);
        else if (role == "assistant" && (calls is not null || message.Has("refusal"))) result["content"] = message.Text("refusal") ?? "";
        else if (role != "assistant") message.Missing("content");
        else result["content"] = "";
        if (calls is not null) result["tool_calls"] = calls;
        foreach (var (name, value, path) in message.Members())
            if (!result.ContainsKey(name) && value.ValueKind != JsonValueKind.Null && name != "tool_calls")
                result[name] = ToNode(message, value, path);
        return result;
    }

    private static string ReadContent(JsonFields message)
    {
        var content = message.Raw("content")!.Value;
        var path = message.PathOf("content");
        if (content.ValueKind == JsonValueKind.String) return message.TextOf(content, path) ?? "";
        if (content.ValueKind != JsonValueKind.Array)
        {
            message.WrongType<int>(path, "a string or an array of text parts", content);
            return "";
        }
        var text = new StringBuilder();
        foreach (var part in message.Objects("content") ?? [])
        {
            var type = part.RequiredText("type");
            if (type == "text") text.Append(part.RequiredText("text"));
            else if (type.Length > 0)
                message.Fail(FailureKind.Unsupported,
                    $"Unsupported value of '{part.PathOf("type")}': '{Shorten(type)}'. This server reads text alone.", part.PathOf("type"));
        }
        return text.ToString();
    }

    private static JsonArray? ReadToolCalls(JsonFields message)
    {
        if (message.Objects("tool_calls") is not { Count: > 0 } calls) return null;
        var result = new JsonArray();
        foreach (var call in calls)
        {
            if (call.Object("function") is not { } function)
            {
                call.Missing("function");
                continue;
            }
            result.Add((JsonNode)new JsonObject
            {
                ["id"] = call.Text("id"),
                ["type"] = "function",
                ["function"] = new JsonObject
                {
                    ["name"] = function.RequiredText("name"),
                    ["arguments"] = ReadArguments(function),
                },
            });
        }
        return result;
    }

    private static JsonNode? ReadArguments(JsonFields function)
    {
        if (function.Raw("arguments") is not { } value) return new JsonObject();
        if (value.ValueKind == JsonValueKind.Object) return ToNode(function, "arguments");
        if (function.Text("arguments") is not { } text) return null;
        var inner = JsonFields.Parse(Encoding.UTF8.GetBytes(text), out _);
        // A model may have written arguments that are not JSON: the template gets the text as it was.
        if (inner is null) return text;
        var result = new JsonObject();
        foreach (var (name, member, path) in inner.Members()) result[name] = ToNode(inner, member, path);
        return result;
    }

    private static string Shorten(string text) => text.Length <= 40 ? text : text[..40] + "…";
}
