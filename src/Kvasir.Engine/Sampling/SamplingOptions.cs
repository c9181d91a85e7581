using System.Collections.Immutable;

namespace Kvasir.Engine.Sampling;

/// <summary>
/// How the next token is chosen. In order: logit bias, repetition, frequency and presence penalties, temperature,
/// min-p, top-k, typical, top-p (vLLM's order). Defaults change nothing: a draw from the model's own distribution.
/// </summary>
public sealed record SamplingOptions
{
    /// <summary>The most likely token, always.</summary>
    public static SamplingOptions Greedy { get; } = new() { Temperature = 0 };

    /// <summary>Divides the logits; 0 takes the most likely token. At least 0.</summary>
    public float Temperature { get; init; } = 1;
    /// <summary>Keeps the k most likely tokens; 0 keeps all.</summary>
    public int TopK { get; init; }
    /// <summary>Keeps the most likely tokens that together have this probability; 1 keeps all. In (0, 1].</summary>
    public float TopP { get; init; } = 1;
    /// <summary>Keeps tokens at least this many times as likely as the most likely one; 0 keeps all. In [0, 1].</summary>
    public float MinP { get; init; }
    /// <summary>Locally typical sampling (Meister et al. 2022): keeps the tokens of most typical surprise with this mass; 1 keeps all. In (0, 1].</summary>
    public float TypicalP { get; init; } = 1;
    /// <summary>Divides positive and multiplies negative logits of tokens already in prompt or text; 1 does nothing. Above 0.</summary>
    public float RepetitionPenalty { get; init; } = 1;
    /// <summary>Subtracted once from the logits of tokens already generated. In [−2, 2].</summary>
    public float PresencePenalty { get; init; }
    /// <summary>Subtracted from the logits of generated tokens once per occurrence. In [−2, 2].</summary>
    public float FrequencyPenalty { get; init; }
    /// <summary>Added to the logits of single tokens.</summary>
    public ImmutableDictionary<int, float> LogitBias { get; init; } = ImmutableDictionary<int, float>.Empty;
    /// <summary>Same seed, same text, whatever else is in the batch; null draws a seed.</summary>
    public ulong? Seed { get; init; }

    /// <summary>The first field out of range, as a sentence; null when all are fine.</summary>
    public string? Problem() =>
        !(Temperature is >= 0 and <= 100) ? $"temperature is {Temperature}, but must be between 0 and 100."
        : TopK < 0 ? $"top_k is {TopK}, but must be 0 (all) or more."
        : !(TopP is > 0 and <= 1) ? $"top_p is {TopP}, but must be above 0 and at most 1."
        : !(MinP is >= 0 and <= 1) ? $"min_p is {MinP}, but must be between 0 and 1."
        : !(TypicalP is > 0 and <= 1) ? $"typical_p is {TypicalP}, but must be above 0 and at most 1."
        : !(RepetitionPenalty is > 0 and <= 100) ? $"repetition_penalty is {RepetitionPenalty}, but must be above 0 and at most 100."
        : !(PresencePenalty is >= -2 and <= 2) ? $"presence_penalty is {PresencePenalty}, but must be between -2 and 2."
        : !(FrequencyPenalty is >= -2 and <= 2) ? $"frequency_penalty is {FrequencyPenalty}, but must be between -2 and 2."
        : LogitBias.Any(bias => bias.Key < 0 || !(Math.Abs(bias.Value) <= 100)) ? "logit_bias values must be between -100 and 100, for token ids of 0 or more."
        : null;

    internal bool Penalizes => RepetitionPenalty != 1 || PresencePenalty != 0 || FrequencyPenalty != 0;
}
