using System.Collections.Immutable;

namespace Kvasir.Checkpoints;

/// <summary>What the checkpoint's makers say of generating with it; null where they say nothing.</summary>
public sealed record GenerationDefaults
{
    /// <summary>Begins a text.</summary>
    public int? BeginToken { get; init; }
    /// <summary>Each of them ends a text.</summary>
    public ImmutableArray<int> EndTokens { get; init; } = [];
    /// <summary>False where greedy decoding is the default.</summary>
    public bool? Sample { get; init; }
    /// <summary>Divisor of logits.</summary>
    public float? Temperature { get; init; }
    /// <summary>Candidates kept.</summary>
    public int? TopK { get; init; }
    /// <summary>Probability kept.</summary>
    public float? TopP { get; init; }
    /// <summary>Least probability, relative to the greatest.</summary>
    public float? MinP { get; init; }
    /// <summary>Divisor of repeated tokens' logits.</summary>
    public float? RepetitionPenalty { get; init; }
}
