using System.Collections.Immutable;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.Sampling;

namespace Kvasir.Engine;

/// <summary>What to generate: a prompt of tokens and how to continue it.</summary>
public sealed record GenerationRequest
{
    /// <summary>The prompt, at least one token.</summary>
    public required ImmutableArray<int> Prompt { get; init; }
    /// <summary>What reports shall call it, or null.</summary>
    public string? Id { get; init; }
    /// <summary>Most tokens to generate; the context bounds it too. 0 computes the prompt alone.</summary>
    public int MaxTokens { get; init; } = 256;
    /// <summary>How tokens are chosen.</summary>
    public SamplingOptions Sampling { get; init; } = new();
    /// <summary>Tokens that end the text; they are reported, as the last one.</summary>
    public ImmutableArray<int> StopTokens { get; init; } = [];
    /// <summary>Requests share keys and values with those of the same salt alone; one per tenant keeps tenants apart.</summary>
    public string? CacheSalt { get; init; }
    /// <summary>Lower numbers run first and give way last.</summary>
    public int Priority { get; init; }
    /// <summary>Whose request it is: tenants that wait get equal shares of the engine. Null with all others that have none.</summary>
    public string? Tenant { get; init; }
    /// <summary>Whether <see cref="GenerationStream.Explanation"/> shall tell what became of the request.</summary>
    public bool Explain { get; init; }
    /// <summary>How long its keys and values are wanted after it; null for no hint.</summary>
    public KvRetention? Retention { get; init; }
    /// <summary>Whether each token carries its log-probability.</summary>
    public bool LogProbabilities { get; init; }
    /// <summary>How many most likely alternatives each token carries, 0 to 20.</summary>
    public int TopLogProbabilities { get; init; }
    /// <summary>Whether the log-probability of every prompt token after the first is computed: see <see cref="GenerationStream.PromptLogProbabilities"/>.</summary>
    public bool PromptLogProbabilities { get; init; }
}

/// <summary>Why a generation ended.</summary>
public enum FinishReason
{
    /// <summary>A stop token came.</summary>
    Stop,
    /// <summary>MaxTokens, the context or the KV cache ended it.</summary>
    Length,
    /// <summary>The consumer left.</summary>
    Cancelled,
}

/// <summary>One generated token.</summary>
/// <param name="Token">Its id.</param>
/// <param name="LogProbability">ln p under the model, NaN unless asked for.</param>
/// <param name="Top">The most likely alternatives, best first; empty unless asked for.</param>
public readonly record struct GeneratedToken(int Token, float LogProbability, ImmutableArray<TokenLogProbability> Top);

/// <summary>What a request used.</summary>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="CachedTokens">Prompt tokens whose keys and values were there already.</param>
/// <param name="GeneratedTokens">Tokens generated.</param>
/// <param name="Preemptions">How often the request gave way and was computed again.</param>
/// <param name="QueueSeconds">From submission to the first step.</param>
/// <param name="PrefillSeconds">From the first step to the first token.</param>
public readonly record struct RequestUsage(int PromptTokens, int CachedTokens, int GeneratedTokens, int Preemptions, double QueueSeconds, double PrefillSeconds)
{
    /// <summary>From the first token to the end.</summary>
    public double DecodeSeconds { get; init; }
}

/// <summary>Why a request was refused.</summary>
public enum RefusalKind
{
    /// <summary>A field is wrong.</summary>
    Invalid,
    /// <summary>Prompt and one token exceed the context.</summary>
    ExceedsContext,
    /// <summary>Prompt and one token exceed the whole KV cache.</summary>
    ExceedsKvCache,
    /// <summary>Pins would take more of the KV cache than they may.</summary>
    ExceedsPinShare,
    /// <summary>The queue is full: try again later.</summary>
    QueueFull,
    /// <summary>The engine has been put to sleep.</summary>
    Asleep,
    /// <summary>The engine is draining or closed.</summary>
    Closing,
    /// <summary>A step failed inside the engine.</summary>
    Failed,
}

/// <summary>A request cannot be served; the message says why and what would help.</summary>
public sealed class RequestException : Exception
{
    /// <summary>Creates the error.</summary>
    public RequestException(RefusalKind kind, string message, Exception? inner = null) : base(message, inner) => Kind = kind;

    /// <summary>Why.</summary>
    public RefusalKind Kind { get; }
}
