using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Kvasir.Engine;
using Kvasir.Protocol.OpenAi;
using Microsoft.Extensions.AI;

namespace Kvasir;

/// <summary>A model in this process as a chat client of Microsoft.Extensions.AI.</summary>
public sealed class KvasirChatClient : IChatClient
{
    private readonly KvasirEngine engine;
    private readonly ChatClientMetadata metadata;

    internal KvasirChatClient(KvasirEngine engine)
    {
        this.engine = engine;
        metadata = new ChatClientMetadata("kvasir", null, engine.Name);
    }

    /// <summary>The whole answer: its parts, collected.</summary>
    /// <exception cref="RequestException">The engine refused the request or failed.</exception>
    public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    /// <summary>The answer as it is written.</summary>
    /// <exception cref="RequestException">The engine refused the request or failed.</exception>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var prompt = ChatClientMessages.ToPrompt(messages, options);
        var pipeline = engine.Pipeline;
        if (!pipeline.TryRender(prompt, out var text, out var failure)) throw Refused(failure);
        var request = pipeline.Request(pipeline.EncodeChat(text), ChatClientMessages.ToFields(options)) with { FindToolCalls = prompt.Tools is not null };
        if (!pipeline.TryStartChat(request, 1, out var generation, out failure)) throw Refused(failure);
        await using var leaving = generation.ConfigureAwait(false);
        var id = $"chatcmpl-{Guid.NewGuid():N}";
        await foreach (var part in generation.ReadAsync(cancellationToken).ConfigureAwait(false))
        {
            if (part.Text.Length > 0) yield return Update(id, new TextContent(part.Text));
            foreach (var call in part.ToolCalls) yield return Update(id, ChatClientMessages.ToContent(call));
            if (part.FinishReason is { } reason) yield return Last(id, part, reason, generation);
        }
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(ChatClientMetadata) ? metadata
        : serviceType.IsInstanceOfType(engine) ? engine
        : serviceType.IsInstanceOfType(this) ? this
        : null;

    /// <summary>Leaves the model loaded: it belongs to its <see cref="KvasirEngine"/>.</summary>
    public void Dispose() { }

    private static RequestException Refused(RequestFailure failure) => new(failure.Kind switch
    {
        FailureKind.ContextExceeded => RefusalKind.ExceedsContext,
        FailureKind.NeverFits => RefusalKind.ExceedsKvCache,
        FailureKind.QueueFull => RefusalKind.QueueFull,
        FailureKind.Asleep => RefusalKind.Asleep,
        FailureKind.Draining => RefusalKind.Closing,
        FailureKind.Internal => RefusalKind.Failed,
        _ => RefusalKind.Invalid,
    }, failure.Message);

    private ChatResponseUpdate Update(string id, AIContent content) =>
        new(ChatRole.Assistant, [content]) { ResponseId = id, MessageId = id, ModelId = engine.Name, CreatedAt = engine.Pipeline.Time.GetUtcNow() };

    private ChatResponseUpdate Last(string id, TextPart part, FinishReason reason, TextGeneration generation)
    {
        var usage = new UsageDetails
        {
            InputTokenCount = generation.PromptTokens,
            OutputTokenCount = generation.GeneratedTokens,
            TotalTokenCount = generation.PromptTokens + generation.GeneratedTokens,
            CachedInputTokenCount = generation.CachedTokens,
        };
        var update = Update(id, new UsageContent(usage));
        update.FinishReason = part.ToolCalls.Length > 0 ? ChatFinishReason.ToolCalls
            : reason == FinishReason.Length ? ChatFinishReason.Length
            : ChatFinishReason.Stop;
        return update;
    }
}

/// <summary>Between Microsoft.Extensions.AI's messages and those of chat templates.</summary>
internal static class ChatClientMessages
{
    /// <summary>Messages and tools for the template.</summary>
    public static ChatPrompt ToPrompt(IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        if (options?.ResponseFormat is ChatResponseFormatJson)
            throw new NotSupportedException("Answers are not constrained to JSON; leave ResponseFormat out, or set it to Text.");
        var list = new JsonArray();
        if (options is { Tools.Count: > 0, ToolMode: RequiredChatToolMode })
            throw new NotSupportedException("A tool call cannot be forced; set ToolMode to Auto or None.");
        if (options?.Instructions is { Length: > 0 } instructions) list.Add((JsonNode)Message("system", instructions));
        foreach (var message in messages) Add(list, message);
        JsonArray? tools = null;
        if (options is { Tools: { Count: > 0 } given, ToolMode: not NoneChatToolMode })
            tools = [.. given.OfType<AIFunctionDeclaration>().Select(ToTool)];
        return new ChatPrompt(list, tools is { Count: > 0 } ? tools : null);
    }

    /// <summary>Sampling options in the protocol's terms.</summary>
    public static SamplingFields ToFields(ChatOptions? options) => options is null ? new SamplingFields() : new SamplingFields
    {
        Temperature = options.Temperature,
        TopP = options.TopP,
        TopK = options.TopK,
        PresencePenalty = options.PresencePenalty,
        FrequencyPenalty = options.FrequencyPenalty,
        Seed = options.Seed,
        MaxTokens = options.MaxOutputTokens,
        Stop = [.. (options.StopSequences ?? []).Where(stop => stop.Length > 0)],
    };

    /// <summary>A call with its arguments as values.</summary>
    public static FunctionCallContent ToContent(ToolRequest call)
    {
        var arguments = new Dictionary<string, object?>();
        if (JsonNode.Parse(call.Arguments) is JsonObject members)
            foreach (var (name, value) in members) arguments[name] = value.Deserialize<JsonElement>();
        return new FunctionCallContent($"call_{Guid.NewGuid():N}", call.Name, arguments);
    }

    private static void Add(JsonArray list, ChatMessage message)
    {
        if (message.Contents.FirstOrDefault(content => content is DataContent or UriContent or HostedFileContent) is { } foreign)
            throw new NotSupportedException($"A message holds {foreign.GetType().Name}; only text, tool calls and their results are read.");
        foreach (var result in message.Contents.OfType<FunctionResultContent>())
        {
            var tool = Message("tool", result.Result as string ?? JsonSerializer.Serialize(result.Result));
            tool["tool_call_id"] = result.CallId;
            list.Add((JsonNode)tool);
        }
        var calls = message.Contents.OfType<FunctionCallContent>().Select(ToCall).ToArray();
        if (message.Text.Length == 0 && calls.Length == 0 && message.Role == ChatRole.Tool) return;
        var node = Message(message.Role.Value, message.Text);
        if (calls.Length > 0) node["tool_calls"] = new JsonArray(calls);
        list.Add((JsonNode)node);
    }

    private static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };

    private static JsonNode ToCall(FunctionCallContent call) => new JsonObject
    {
        ["id"] = call.CallId,
        ["type"] = "function",
        ["function"] = new JsonObject { ["name"] = call.Name, ["arguments"] = JsonSerializer.SerializeToNode(call.Arguments ?? new Dictionary<string, object?>()) },
    };

    private static JsonNode ToTool(AIFunctionDeclaration tool) => new JsonObject
    {
        ["type"] = "function",
        ["function"] = new JsonObject
        {
            ["name"] = tool.Name,
            ["description"] = tool.Description,
            ["parameters"] = JsonNode.Parse(tool.JsonSchema.GetRawText()),
        },
    };
}
