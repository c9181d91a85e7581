using System.Text.Json.Serialization;

namespace Kvasir.Protocol.OpenAi;

/// <summary>Tokens that a request took.</summary>
/// <param name="PromptTokens">Tokens of the prompt, or of all prompts.</param>
/// <param name="CompletionTokens">Tokens of all answers.</param>
/// <param name="TotalTokens">Their sum.</param>
/// <param name="PromptTokensDetails">How many of the prompt's were found in the cache.</param>
public sealed record Usage(int PromptTokens, int CompletionTokens, int TotalTokens, PromptTokensDetails PromptTokensDetails)
{
    /// <summary>Adds up a request's parts.</summary>
    public static Usage Of(int prompt, int completion, int cached) =>
        new(prompt, completion, prompt + completion, new PromptTokensDetails(cached));
}

/// <summary>Part of <see cref="Usage"/>.</summary>
/// <param name="CachedTokens">Prompt tokens that were not computed again.</param>
public sealed record PromptTokensDetails(int CachedTokens);

/// <summary>Answer of chat completions.</summary>
public sealed record ChatCompletion(
    string Id, string Object, long Created, string Model, IReadOnlyList<ChatChoice> Choices, Usage Usage)
{
    /// <summary>What became of the answers, where asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Explanations? Kvasir { get; init; }
}

/// <summary>One answer.</summary>
public sealed record ChatChoice(int Index, ChatAnswer Message, ChatLogprobs? Logprobs, string? FinishReason);

/// <summary>An assistant's message.</summary>
public sealed record ChatAnswer(string Role, string? Content)
{
    /// <summary>Always null: this server's models do not refuse by protocol.</summary>
    public string? Refusal { get; init; }

    /// <summary>Functions that the model asks to call.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ToolCall>? ToolCalls { get; init; }
}

/// <summary>A part of a streamed chat answer.</summary>
public sealed record ChatChunk(string Id, string Object, long Created, string Model, IReadOnlyList<ChatChunkChoice> Choices)
{
    /// <summary>In the last part, where asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Usage? Usage { get; init; }

    /// <summary>What became of the answers: at the end, where asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Explanations? Kvasir { get; init; }
}

/// <summary>What one part adds to one answer.</summary>
public sealed record ChatChunkChoice(int Index, ChatDelta Delta, ChatLogprobs? Logprobs, string? FinishReason);

/// <summary>Added text.</summary>
public sealed record ChatDelta
{
    /// <summary>In the first part.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Role { get; init; }
    /// <summary>The text.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Content { get; init; }
    /// <summary>Whole tool calls.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ToolCall>? ToolCalls { get; init; }
}

/// <summary>A function that the model asks to call.</summary>
/// <param name="Index">Its number among the answer's calls.</param>
/// <param name="Id">A name for the result to refer to.</param>
/// <param name="Type">"function".</param>
/// <param name="Function">Name and arguments.</param>
public sealed record ToolCall(int Index, string Id, string Type, FunctionCall Function);

/// <summary>Name and arguments of a call.</summary>
/// <param name="Name">The function's name.</param>
/// <param name="Arguments">JSON, as text.</param>
public sealed record FunctionCall(string Name, string Arguments);

/// <summary>Logprobs of a chat answer.</summary>
/// <param name="Content">One per token.</param>
public sealed record ChatLogprobs(IReadOnlyList<ChatTokenLogprob> Content);

/// <summary>A token, its natural log probability, and the likeliest at its place.</summary>
/// <param name="Token">Its text, with replacement characters where its bytes are not whole characters.</param>
/// <param name="Logprob">Natural logarithm of its probability.</param>
/// <param name="Bytes">Its bytes.</param>
/// <param name="TopLogprobs">The likeliest tokens, best first.</param>
public sealed record ChatTokenLogprob(string Token, double Logprob, IReadOnlyList<int> Bytes, IReadOnlyList<ChatTopLogprob> TopLogprobs);

/// <summary>One of the likeliest tokens.</summary>
public sealed record ChatTopLogprob(string Token, double Logprob, IReadOnlyList<int> Bytes);

/// <summary>Answer, or part of an answer, of completions.</summary>
public sealed record TextCompletion(string Id, string Object, long Created, string Model, IReadOnlyList<TextChoice> Choices)
{
    /// <summary>At the end, where asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Usage? Usage { get; init; }

    /// <summary>What became of the answers: at the end, where asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Explanations? Kvasir { get; init; }
}

/// <summary>One answer, or what is added to it.</summary>
public sealed record TextChoice(int Index, string Text, TextLogprobs? Logprobs, string? FinishReason);

/// <summary>Logprobs of a text completion, in parallel lists.</summary>
/// <param name="Tokens">Texts of tokens.</param>
/// <param name="TokenLogprobs">Natural log probabilities; null for a text's first token.</param>
/// <param name="TopLogprobs">Token text → logprob of the likeliest; null for a text's first token.</param>
/// <param name="TextOffset">Where each token begins in the text, in UTF-16 units.</param>
public sealed record TextLogprobs(
    IReadOnlyList<string> Tokens, IReadOnlyList<double?> TokenLogprobs,
    IReadOnlyList<IReadOnlyDictionary<string, double>?> TopLogprobs, IReadOnlyList<int> TextOffset);

/// <summary>Answer of <c>/v1/models</c>.</summary>
public sealed record ModelList(string Object, IReadOnlyList<ModelCard> Data);

/// <summary>A served model.</summary>
/// <param name="Id">The name to ask for.</param>
/// <param name="Object">"model".</param>
/// <param name="Created">Seconds since 1970.</param>
/// <param name="OwnedBy">"kvasir".</param>
/// <param name="Root">The file or folder.</param>
/// <param name="MaxModelLen">Longest prompt and answer together, in tokens.</param>
public sealed record ModelCard(string Id, string Object, long Created, string OwnedBy, string Root, int MaxModelLen)
{
    /// <summary>What only Kvasir tells, where several models are served.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ModelState? Kvasir { get; init; }
}

/// <summary>One of several models now.</summary>
/// <param name="State">"awake", or "asleep": a request for it waits for its turn.</param>
public sealed record ModelState(string State);

/// <summary>Answer of <c>/tokenize</c>.</summary>
/// <param name="Count">Number of tokens.</param>
/// <param name="MaxModelLen">Longest prompt and answer together, in tokens.</param>
/// <param name="Tokens">Ids.</param>
/// <param name="TokenStrs">Texts, where asked for.</param>
public sealed record TokenizeResponse(int Count, int MaxModelLen, IReadOnlyList<int> Tokens, IReadOnlyList<string>? TokenStrs);

/// <summary>Answer of <c>/detokenize</c>.</summary>
/// <param name="Prompt">The text.</param>
public sealed record DetokenizeResponse(string Prompt);
