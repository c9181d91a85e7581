using System.Collections.Immutable;

namespace Kvasir.Checkpoints.Families;

/// <summary>
/// Angles per position of rotary embeddings, computed in double precision. Formulas: RoPE (arXiv 2104.09864),
/// linear interpolation (2306.15595), YaRN (2309.00071), LongRoPE (2402.13753), Llama 3.1's as in its reference code.
/// </summary>
internal static class RopeFrequencies
{
    public static RopeSpec Compute(RopeParameters rope, RopePairing pairing, string source)
    {
        Check(rope, source);
        var plain = new double[rope.Dimensions / 2];
        for (var i = 0; i < plain.Length; i++) plain[i] = Math.Pow(rope.Theta, -2.0 * i / rope.Dimensions);
        var scaled = rope.Scaling switch
        {
            RopeScaling.Linear => plain.Select(f => f / rope.Factor),
            RopeScaling.Llama3 => plain.Select(f => Llama3(f, rope)),
            RopeScaling.Yarn => plain.Select((f, i) => Yarn(f, i, rope)),
            _ => plain,
        };
        var shortContext = scaled.ToArray();
        return new RopeSpec
        {
            Dimensions = rope.Dimensions,
            Theta = (float)rope.Theta,
            Pairing = pairing,
            Frequencies = Divide(shortContext, rope.Divisors),
            LongFrequencies = rope.LongDivisors.IsDefaultOrEmpty ? default : Divide(shortContext, rope.LongDivisors),
            LongContextThreshold = rope.LongDivisors.IsDefaultOrEmpty ? 0 : (int)rope.OriginalContext,
            Magnitude = (float)Magnitude(rope),
        };
    }

    private static void Check(RopeParameters rope, string source)
    {
        if (rope.Dimensions <= 0 || rope.Dimensions % 2 != 0)
            throw new CheckpointException($"{source}: the rotary embedding has {rope.Dimensions} dimensions; a positive even number was expected.");
        if (!(rope.Theta > 1) || !double.IsFinite(rope.Theta))
            throw new CheckpointException($"{source}: the rotary embedding's base is {rope.Theta}; a finite number above 1 was expected.");
        if (!(rope.Factor > 0) || !double.IsFinite(rope.Factor))
            throw new CheckpointException($"{source}: the rotary scaling factor is {rope.Factor}; a positive number was expected.");
        if (rope.Scaling is RopeScaling.Llama3 or RopeScaling.Yarn or RopeScaling.LongRope && !(rope.OriginalContext is > 0 and < int.MaxValue))
            throw new CheckpointException($"{source}: {rope.Scaling} rotary scaling gives the original context as {rope.OriginalContext}; a positive number of tokens was expected.");
        foreach (var divisors in (ImmutableArray<float>[])[rope.Divisors, rope.LongDivisors])
        {
            if (divisors.IsDefaultOrEmpty) continue;
            if (divisors.Length != rope.Dimensions / 2 || divisors.Any(d => !(d > 0) || !float.IsFinite(d)))
                throw new CheckpointException($"{source}: {divisors.Length} rotary factors were given; {rope.Dimensions / 2} positive ones were expected.");
        }
    }

    private static ImmutableArray<float> Divide(double[] frequencies, ImmutableArray<float> divisors) =>
        [.. frequencies.Select((f, i) => (float)(divisors.IsDefaultOrEmpty ? f : f / divisors[i]))];

    private static double Llama3(double frequency, RopeParameters rope)
    {
        var wavelength = 2 * Math.PI / frequency;
        if (wavelength < rope.OriginalContext / rope.HighFrequencyFactor) return frequency;
        if (wavelength > rope.OriginalContext / rope.LowFrequencyFactor) return frequency / rope.Factor;
        var smooth = (rope.OriginalContext / wavelength - rope.LowFrequencyFactor) / (rope.HighFrequencyFactor - rope.LowFrequencyFactor);
        return (1 - smooth) * frequency / rope.Factor + smooth * frequency;
    }

    private static double Yarn(double frequency, int pair, RopeParameters rope)
    {
        var low = Correction(rope.BetaFast, rope);
        var high = Correction(rope.BetaSlow, rope);
        if (rope.Truncate) (low, high) = (Math.Floor(low), Math.Ceiling(high));
        low = Math.Max(low, 0);
        high = Math.Min(high, rope.Dimensions - 1);
        var kept = 1 - Math.Clamp((pair - low) / Math.Max(high - low, 0.001), 0, 1);
        return frequency / rope.Factor * (1 - kept) + frequency * kept;
    }

    /// <summary>The dimension whose pair turns <paramref name="rotations"/> times within the original context.</summary>
    private static double Correction(double rotations, RopeParameters rope) =>
        rope.Dimensions * Math.Log(rope.OriginalContext / (rotations * 2 * Math.PI)) / (2 * Math.Log(rope.Theta));

    private static double Magnitude(RopeParameters rope)
    {
        if (rope.Magnitude is { } given) return given;
        if (rope.Factor <= 1) return 1;
        return rope.Scaling switch
        {
            RopeScaling.Yarn when rope.MagnitudeScale != 0 && rope.MagnitudeScaleAllDimensions != 0 =>
                (0.1 * rope.MagnitudeScale * Math.Log(rope.Factor) + 1) / (0.1 * rope.MagnitudeScaleAllDimensions * Math.Log(rope.Factor) + 1),
            RopeScaling.Yarn => 0.1 * Math.Log(rope.Factor) + 1,
            RopeScaling.LongRope => Math.Sqrt(1 + Math.Log(rope.Factor) / Math.Log(rope.OriginalContext)),
            _ => 1,
        };
    }
}
