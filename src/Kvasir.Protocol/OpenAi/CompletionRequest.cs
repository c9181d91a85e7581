using System.Collections.Immutable;
using System.Text.Json;

namespace Kvasir.Protocol.OpenAi;

/// <summary>A checked body of <c>POST /v1/completions</c>.</summary>
public sealed record CompletionRequest
{
    /// <summary>Most prompts in one request.</summary>
    public const int MaxPrompts = 256;
    /// <summary>Answer tokens where the request does not say (OpenAI's default).</summary>
    public const int DefaultMaxTokens = 16;

    /// <summary>The asked model, or null.</summary>
    public string? Model { get; init; }
    /// <summary>Prompts as text or as token ids.</summary>
    public required ImmutableArray<CompletionPrompt> Prompts { get; init; }
    /// <summary>Whether the answer begins with the prompt.</summary>
    public bool Echo { get; init; }
    /// <summary>Most likely tokens to tell per position, or null for no logprobs.</summary>
    public int? Logprobs { get; init; }
    /// <summary>Whether prompts get the tokens that the model adds to every text (BOS).</summary>
    public bool AddSpecialTokens { get; init; } = true;
    /// <summary>How tokens are chosen.</summary>
    public required SamplingFields Sampling { get; init; }

    /// <summary>Reads and checks a body.</summary>
    public static CompletionRequest? Parse(ReadOnlyMemory<byte> body, out RequestFailure? failure)
    {
        if (JsonFields.Parse(body, out failure) is not { } fields) return null;
        var request = new CompletionRequest
        {
            Model = fields.Text("model"),
            Prompts = ReadPrompts(fields),
            Echo = fields.Flag("echo") ?? false,
            Logprobs = (int?)fields.Integer("logprobs", 0, ChatCompletionRequest.MaxTopLogprobs),
            AddSpecialTokens = fields.Flag("add_special_tokens") ?? true,
            Sampling = SamplingFields.Read(fields, leastTokens: 0),
        };
        if (fields.Text("suffix") is { Length: > 0 })
            fields.Fail(FailureKind.Unsupported, "Unsupported parameter: 'suffix'. Text can only be continued, not filled in.", "suffix");
        if (fields.Integer("best_of", 1, SamplingFields.MaxChoices) is { } best && best != request.Sampling.N)
            fields.Fail(FailureKind.Unsupported, $"Unsupported parameter: 'best_of' ({best}) must equal 'n' ({request.Sampling.N}).", "best_of");
        failure = fields.Failure;
        return failure is null ? request : null;
    }

    private static ImmutableArray<CompletionPrompt> ReadPrompts(JsonFields fields)
    {
        if (fields.Raw("prompt") is not { } prompt)
        {
            fields.Missing("prompt");
            return [];
        }
        if (prompt.ValueKind == JsonValueKind.String)
            return fields.TextOf(prompt, "prompt") is { } text ? [new CompletionPrompt(text, [])] : [];
        if (prompt.ValueKind != JsonValueKind.Array)
        {
            fields.WrongType<int>("prompt", "a string, an array of strings, an array of token ids or an array of such arrays", prompt);
            return [];
        }
        var elements = fields.Elements("prompt")!;
        if (elements.Count == 0)
        {
            fields.Fail(FailureKind.InvalidValue, "Invalid 'prompt': the array is empty.", "prompt");
            return [];
        }
        if (elements[0].Value.ValueKind == JsonValueKind.Number)
            return [new CompletionPrompt(null, [.. SamplingFields.ReadIds(fields, "prompt")!])];
        if (elements.Count > MaxPrompts)
        {
            fields.Fail(FailureKind.InvalidValue, $"Invalid 'prompt': {elements.Count} prompts are more than the {MaxPrompts} allowed.", "prompt");
            return [];
        }
        return [.. elements.Select(element => ReadPrompt(fields, element.Value, element.Path)).OfType<CompletionPrompt>()];
    }

    private static CompletionPrompt? ReadPrompt(JsonFields fields, JsonElement value, string path)
    {
        if (value.ValueKind != JsonValueKind.Array)
            return fields.TextOf(value, path) is { } text ? new CompletionPrompt(text, []) : null;
        var ids = ImmutableArray.CreateBuilder<int>();
        var index = 0;
        foreach (var item in value.EnumerateArray())
            if (fields.IntegerOf(item, $"{path}[{index++}]", 0, int.MaxValue) is { } id) ids.Add((int)id);
        if (ids.Count > 0) return new CompletionPrompt(null, ids.ToImmutable());
        fields.Fail(FailureKind.InvalidValue, $"Invalid '{path}': the array is empty.", path);
        return null;
    }
}

/// <summary>One prompt: text, or token ids where <paramref name="Text"/> is null.</summary>
/// <param name="Text">The text.</param>
/// <param name="Ids">Token ids, used as they are.</param>
public sealed record CompletionPrompt(string? Text, ImmutableArray<int> Ids);
