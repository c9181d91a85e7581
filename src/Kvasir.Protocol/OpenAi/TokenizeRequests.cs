using System.Collections.Immutable;
using System.Text.Json.Nodes;

namespace Kvasir.Protocol.OpenAi;

/// <summary>A checked body of <c>POST /tokenize</c>: a prompt, or messages that the chat template renders first.</summary>
public sealed record TokenizeRequest
{
    /// <summary>The asked model, or null.</summary>
    public string? Model { get; init; }
    /// <summary>Text, or null where there are messages.</summary>
    public string? Prompt { get; init; }
    /// <summary>Messages, or null where there is a prompt.</summary>
    public JsonArray? Messages { get; init; }
    /// <summary>Tools for the template.</summary>
    public JsonArray? Tools { get; init; }
    /// <summary>Whether the rendered prompt opens an answer.</summary>
    public bool AddGenerationPrompt { get; init; } = true;
    /// <summary>Whether to add the tokens that the model adds to every text: yes for prompts, no for messages, unless told.</summary>
    public bool AddSpecialTokens { get; init; }
    /// <summary>Whether to tell the tokens' texts.</summary>
    public bool ReturnTokenTexts { get; init; }
    /// <summary>Further variables of the template.</summary>
    public JsonObject? TemplateArguments { get; init; }

    /// <summary>Reads and checks a body.</summary>
    public static TokenizeRequest? Parse(ReadOnlyMemory<byte> body, out RequestFailure? failure)
    {
        if (JsonFields.Parse(body, out failure) is not { } fields) return null;
        var isChat = fields.Has("messages");
        if (!isChat && !fields.Has("prompt")) fields.Missing("prompt");
        var request = new TokenizeRequest
        {
            Model = fields.Text("model"),
            Prompt = isChat ? null : fields.Text("prompt"),
            Messages = isChat ? ChatMessages.Read(fields) : null,
            Tools = fields.Objects("tools") is { Count: > 0 } ? ChatMessages.ToNode(fields, "tools") as JsonArray : null,
            AddGenerationPrompt = fields.Flag("add_generation_prompt") ?? true,
            AddSpecialTokens = fields.Flag("add_special_tokens") ?? !isChat,
            ReturnTokenTexts = fields.Flag("return_token_strs") ?? false,
            TemplateArguments = fields.Object("chat_template_kwargs") is null ? null : ChatMessages.ToNode(fields, "chat_template_kwargs") as JsonObject,
        };
        failure = fields.Failure;
        return failure is null ? request : null;
    }
}

/// <summary>A checked body of <c>POST /detokenize</c>.</summary>
/// <param name="Model">The asked model, or null.</param>
/// <param name="Tokens">Ids.</param>
public sealed record DetokenizeRequest(string? Model, ImmutableArray<int> Tokens)
{
    /// <summary>Reads and checks a body.</summary>
    public static DetokenizeRequest? Parse(ReadOnlyMemory<byte> body, out RequestFailure? failure)
    {
        if (JsonFields.Parse(body, out failure) is not { } fields) return null;
        if (!fields.Has("tokens")) fields.Missing("tokens");
        var request = new DetokenizeRequest(fields.Text("model"), [.. SamplingFields.ReadIds(fields, "tokens") ?? []]);
        failure = fields.Failure;
        return failure is null ? request : null;
    }
}
