using System.Collections.Immutable;
using Kvasir.Engine;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.Sampling;

namespace Kvasir;

/// <summary>A prompt of tokens to be continued as text.</summary>
public sealed record TextRequest
{
    /// <summary>The prompt, at least one token.</summary>
    public required ImmutableArray<int> Prompt { get; init; }
    /// <summary>What reports shall call it, or null.</summary>
    public string? Id { get; init; }
    /// <summary>Most tokens to generate; null for what the context leaves.</summary>
    public int? MaxTokens { get; init; }
    /// <summary>How tokens are chosen.</summary>
    public SamplingOptions Sampling { get; init; } = new();
    /// <summary>Texts that end the answer.</summary>
    public ImmutableArray<string> Stop { get; init; } = [];
    /// <summary>Tokens that end the answer, besides the model's own.</summary>
    public ImmutableArray<int> StopTokens { get; init; } = [];
    /// <summary>Whether the stop text that ended the answer is part of it.</summary>
    public bool IncludeStop { get; init; }
    /// <summary>Whether the model's own end of text is an ordinary token.</summary>
    public bool IgnoreEndOfText { get; init; }
    /// <summary>Whether special tokens appear in the text.</summary>
    public bool KeepSpecial { get; init; }
    /// <summary>Whether tokens carry their log-probability.</summary>
    public bool LogProbabilities { get; init; }
    /// <summary>Alternatives per token, 0 to 20.</summary>
    public int TopLogProbabilities { get; init; }
    /// <summary>Whether the prompt's tokens are scored too.</summary>
    public bool PromptLogProbabilities { get; init; }
    /// <summary>Keys and values are shared with requests of the same salt alone.</summary>
    public string? CacheSalt { get; init; }
    /// <summary>Lower numbers run first and give way last.</summary>
    public int Priority { get; init; }
    /// <summary>Whose request it is: tenants that wait get equal shares of the engine. Null with all others that have none.</summary>
    public string? Tenant { get; init; }
    /// <summary>How long its keys and values are wanted after it; null for no hint.</summary>
    public KvRetention? Retention { get; init; }
    /// <summary>Whether the answer shall explain itself.</summary>
    public bool Explain { get; init; }
    /// <summary>Whether the answer is searched for tool calls.</summary>
    public bool FindToolCalls { get; init; }
}

/// <summary>What came since the last part of an answer.</summary>
/// <param name="Choice">Which of the requests, from 0.</param>
/// <param name="Text">Text that is certain by now; often empty.</param>
/// <param name="Tokens">Tokens behind it, with log-probabilities where asked for.</param>
/// <param name="FinishReason">In an answer's last part.</param>
public sealed record TextPart(int Choice, string Text, ImmutableArray<GeneratedToken> Tokens, FinishReason? FinishReason = null)
{
    /// <summary>Tool calls, in an answer's last part.</summary>
    public ImmutableArray<ToolRequest> ToolCalls { get; init; } = [];
}
