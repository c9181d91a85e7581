using System.Collections.Immutable;

namespace Kvasir.Checkpoints.Families;

/// <summary>Ways to stretch rotary embeddings beyond the context they were trained for.</summary>
internal enum RopeScaling
{
    None,
    /// <summary>All angles divided by a factor.</summary>
    Linear,
    /// <summary>Llama 3.1's: long wavelengths divided, short ones kept, a ramp between.</summary>
    Llama3,
    /// <summary>YaRN: a ramp over dimensions, and a magnitude.</summary>
    Yarn,
    /// <summary>A divisor per pair, one list for short contexts and one for long ones, and a magnitude.</summary>
    LongRope,
}

/// <summary>What a checkpoint says about its rotary embedding, before frequencies are computed of it.</summary>
internal sealed record RopeParameters
{
    public required int Dimensions { get; init; }
    public required double Theta { get; init; }
    public RopeScaling Scaling { get; init; }
    public double Factor { get; init; } = 1;
    /// <summary>Positions of the training before scaling.</summary>
    public double OriginalContext { get; init; }
    public double LowFrequencyFactor { get; init; } = 1;
    public double HighFrequencyFactor { get; init; } = 4;
    public double BetaFast { get; init; } = 32;
    public double BetaSlow { get; init; } = 1;
    /// <summary>Whether YaRN's ramp begins and ends at whole dimensions.</summary>
    public bool Truncate { get; init; } = true;
    /// <summary>Factor on cosine and sine as the checkpoint gives it; computed where it is null.</summary>
    public double? Magnitude { get; init; }
    public double MagnitudeScale { get; init; }
    public double MagnitudeScaleAllDimensions { get; init; }
    /// <summary>Divisors of each pair's frequency that the file has computed already (GGUF's rope_freqs), or default.</summary>
    public ImmutableArray<float> Divisors { get; init; }
    public ImmutableArray<float> LongDivisors { get; init; }
}
