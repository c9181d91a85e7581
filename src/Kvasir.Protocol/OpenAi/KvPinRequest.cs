using System.Collections.Immutable;
using System.Text.Json.Nodes;

namespace Kvasir.Protocol.OpenAi;

/// <summary>A checked body of <c>POST /v1/kv/pin</c>: messages, or a prompt as text or token ids.</summary>
public sealed record KvPinRequest
{
    /// <summary>The asked model, or null.</summary>
    public string? Model { get; init; }
    /// <summary>Messages, or null where there is a prompt.</summary>
    public JsonArray? Messages { get; init; }
    /// <summary>Tools for the template.</summary>
    public JsonArray? Tools { get; init; }
    /// <summary>Further variables of the template.</summary>
    public JsonObject? TemplateArguments { get; init; }
    /// <summary>Whether the rendered messages open an answer; they do not unless told, for what follows them may be anything.</summary>
    public bool AddGenerationPrompt { get; init; }
    /// <summary>Text, or null.</summary>
    public string? Prompt { get; init; }
    /// <summary>Token ids, used as they are, or empty.</summary>
    public ImmutableArray<int> Ids { get; init; } = [];
    /// <summary>Whether a text gets the tokens that the model adds to every text.</summary>
    public bool AddSpecialTokens { get; init; }
    /// <summary>Whose it is; null for the common one.</summary>
    public string? CacheSalt { get; init; }
    /// <summary>Seconds to hold it; null for as long as the server lives.</summary>
    public long? TtlSeconds { get; init; }

    /// <summary>Reads and checks a body.</summary>
    public static KvPinRequest? Parse(ReadOnlyMemory<byte> body, out RequestFailure? failure)
    {
        if (JsonFields.Parse(body, out failure) is not { } fields) return null;
        var isChat = fields.Has("messages");
        if (!isChat && !fields.Has("prompt")) fields.Missing("prompt");
        if (isChat && fields.Has("prompt")) fields.Fail(FailureKind.InvalidValue, "Invalid 'prompt': give it or 'messages', not both.", "prompt");
        var isIds = fields.Raw("prompt") is { ValueKind: System.Text.Json.JsonValueKind.Array };
        var request = new KvPinRequest
        {
            Model = fields.Text("model"),
            Messages = isChat ? ChatMessages.Read(fields) : null,
            Tools = fields.Objects("tools") is { Count: > 0 } ? ChatMessages.ToNode(fields, "tools") as JsonArray : null,
            TemplateArguments = fields.Object("chat_template_kwargs") is null ? null : ChatMessages.ToNode(fields, "chat_template_kwargs") as JsonObject,
            AddGenerationPrompt = fields.Flag("add_generation_prompt") ?? false,
            Prompt = isChat || isIds ? null : fields.Text("prompt"),
            Ids = isIds ? [.. SamplingFields.ReadIds(fields, "prompt") ?? []] : [],
            AddSpecialTokens = fields.Flag("add_special_tokens") ?? true,
            CacheSalt = SamplingFields.ReadSalt(fields),
            TtlSeconds = fields.Integer("ttl_seconds", 1, RetentionFields.MostSeconds),
        };
        failure = fields.Failure;
        return failure is null ? request : null;
    }
}

/// <summary>A checked body of <c>POST /v1/kv/unpin</c>.</summary>
/// <param name="Model">The asked model, or null.</param>
/// <param name="Id">The pin.</param>
public sealed record KvUnpinRequest(string? Model, string Id)
{
    /// <summary>Reads and checks a body.</summary>
    public static KvUnpinRequest? Parse(ReadOnlyMemory<byte> body, out RequestFailure? failure)
    {
        if (JsonFields.Parse(body, out failure) is not { } fields) return null;
        var request = new KvUnpinRequest(fields.Text("model"), fields.RequiredText("id"));
        failure = fields.Failure;
        return failure is null ? request : null;
    }
}

/// <summary>The field <c>kv_retention</c>.</summary>
/// <param name="Priority">0 to 100; null for the normal one.</param>
/// <param name="TtlSeconds">How long; null for the server's default.</param>
public sealed record RetentionFields(int? Priority, long? TtlSeconds)
{
    /// <summary>Longest time: 30 days.</summary>
    public const long MostSeconds = 30 * 24 * 3600;

    /// <summary>Reads the field; null where it is absent.</summary>
    public static RetentionFields? Read(JsonFields fields) => fields.Object("kv_retention") is { } hint
        ? new RetentionFields((int?)hint.Integer("priority", 0, 100), hint.Integer("ttl_seconds", 1, MostSeconds))
        : null;
}
