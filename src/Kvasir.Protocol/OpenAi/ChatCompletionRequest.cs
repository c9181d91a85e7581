using System.Text.Json.Nodes;

namespace Kvasir.Protocol.OpenAi;

/// <summary>A checked body of <c>POST /v1/chat/completions</c>.</summary>
public sealed record ChatCompletionRequest
{
    /// <summary>Most alternatives told per token.</summary>
    public const int MaxTopLogprobs = 20;

    /// <summary>The asked model, or null.</summary>
    public string? Model { get; init; }
    /// <summary>Messages as chat templates want them: role, text content, tool calls with parsed arguments.</summary>
    public required JsonArray Messages { get; init; }
    /// <summary>Tools as given, or null for none.</summary>
    public JsonArray? Tools { get; init; }
    /// <summary>Whether to tell logprobs.</summary>
    public bool Logprobs { get; init; }
    /// <summary>Most likely tokens to tell per position.</summary>
    public int TopLogprobs { get; init; }
    /// <summary>Whether the rendered prompt opens an answer.</summary>
    public bool AddGenerationPrompt { get; init; } = true;
    /// <summary>Further variables of the template.</summary>
    public JsonObject? TemplateArguments { get; init; }
    /// <summary>How tokens are chosen.</summary>
    public required SamplingFields Sampling { get; init; }

    /// <summary>Reads and checks a body.</summary>
    public static ChatCompletionRequest? Parse(ReadOnlyMemory<byte> body, out RequestFailure? failure)
    {
        if (JsonFields.Parse(body, out failure) is not { } fields) return null;
        var tools = ReadTools(fields);
        var request = new ChatCompletionRequest
        {
            Model = fields.Text("model"),
            Messages = ChatMessages.Read(fields),
            Tools = ChoosesNone(fields) ? null : tools,
            Logprobs = fields.Flag("logprobs") ?? false,
            TopLogprobs = (int)(fields.Integer("top_logprobs", 0, MaxTopLogprobs) ?? 0),
            AddGenerationPrompt = fields.Flag("add_generation_prompt") ?? true,
            TemplateArguments = ReadNode(fields, "chat_template_kwargs"),
            Sampling = SamplingFields.Read(fields),
        };
        if (request is { TopLogprobs: > 0, Logprobs: false })
            fields.Fail(FailureKind.InvalidValue, "Invalid 'top_logprobs': it is only allowed when 'logprobs' is true.", "top_logprobs");
        RefuseUnsupported(fields);
        failure = fields.Failure;
        return failure is null ? request : null;
    }

    private static JsonArray? ReadTools(JsonFields fields)
    {
        if (fields.Objects("tools") is not { Count: > 0 } tools) return null;
        foreach (var tool in tools)
        {
            if (tool.RequiredText("type") is not ("function" or ""))
                fields.Fail(FailureKind.Unsupported, $"Unsupported value of '{tool.PathOf("type")}': only 'function' tools are known.", tool.PathOf("type"));
            if (tool.Object("function") is { } function) function.RequiredText("name");
            else tool.Missing("function");
        }
        return ChatMessages.ToNode(fields, "tools") as JsonArray;
    }

    private static bool ChoosesNone(JsonFields fields)
    {
        if (fields.Raw("tool_choice") is not { } choice) return false;
        if (choice.ValueKind == System.Text.Json.JsonValueKind.Object)
        {
            fields.Fail(FailureKind.Unsupported, "Unsupported parameter: 'tool_choice' cannot force a function; use 'auto' or 'none'.", "tool_choice");
            return false;
        }
        switch (fields.Text("tool_choice"))
        {
            case "none": return true;
            case "auto" or null: return false;
            case "required":
                fields.Fail(FailureKind.Unsupported, "Unsupported parameter: 'tool_choice' cannot be 'required'; use 'auto' or 'none'.", "tool_choice");
                return false;
            default:
                fields.Fail(FailureKind.InvalidValue, "Invalid 'tool_choice': expected 'auto' or 'none'.", "tool_choice");
                return false;
        }
    }

    private static JsonObject? ReadNode(JsonFields fields, string name) =>
        fields.Object(name) is null ? null : ChatMessages.ToNode(fields, name) as JsonObject;

    private static void RefuseUnsupported(JsonFields fields)
    {
        foreach (var name in (string[])["functions", "function_call"])
            if (fields.Has(name)) fields.Fail(FailureKind.Unsupported, $"Unsupported parameter: '{name}' is OpenAI's former form; use 'tools'.", name);
        foreach (var name in (string[])["audio", "prediction", "web_search_options", "chat_template", "continue_final_message", "echo"])
            if (fields.Raw(name) is { } value && !SamplingFields.IsNeutral(value)) fields.Fail(FailureKind.Unsupported, $"Unsupported parameter: '{name}'.", name);
        foreach (var (value, path) in fields.Elements("modalities") ?? [])
            if (fields.TextOf(value, path) is not ("text" or null))
                fields.Fail(FailureKind.Unsupported, "Unsupported parameter: 'modalities' can only be [\"text\"].", "modalities");
    }
}
