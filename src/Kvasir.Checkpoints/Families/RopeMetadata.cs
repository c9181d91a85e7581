using Kvasir.Checkpoints.Gguf;

namespace Kvasir.Checkpoints.Families;

/// <summary>Rotary parameters of GGUF metadata and of the tensors rope_freqs, rope_factors_long and rope_factors_short.</summary>
internal static class RopeMetadata
{
    public static RopeParameters Read(GgufModel model, int headSize)
    {
        var plain = new RopeParameters
        {
            Theta = model.Number("rope.freq_base") ?? 10000,
            Dimensions = model.Integer("rope.dimension_count") ?? headSize,
            OriginalContext = model.Number("rope.scaling.original_context_length") ?? model.RequiredNumber("context_length"),
            // Llama 3's scaling arrives computed, as a divisor per pair.
            Divisors = model.Floats("rope_freqs.weight"),
        };
        var attention = model.Number("rope.scaling.attn_factor");
        var factor = (model.Number("rope.scaling.factor") ?? model.Number("rope.scale_linear")) is { } given and not 0 ? given : 1;
        var (shortFactors, longFactors) = (model.Floats("rope_factors_short.weight"), model.Floats("rope_factors_long.weight"));
        if (!shortFactors.IsDefault && !longFactors.IsDefault)
            return plain with { Scaling = RopeScaling.LongRope, Magnitude = attention ?? 1, Divisors = shortFactors, LongDivisors = longFactors };
        switch (model.Text("rope.scaling.type") ?? "linear")
        {
            case "none": return plain with { Magnitude = attention };
            case "linear": return plain with { Scaling = factor == 1 ? RopeScaling.None : RopeScaling.Linear, Factor = factor, Magnitude = attention };
            case "yarn": return Yarn(model, plain with { Factor = factor }, attention ?? 1);
            case "longrope" when model.HasTensors:
                throw new CheckpointException($"{model.Source} says longrope scaling but lacks the tensors rope_factors_short.weight and rope_factors_long.weight. Convert it again.");
            case "longrope": return plain;
            case var other: throw new CheckpointException($"{model.Source}: rotary scaling \"{other}\" is not known; none, linear, yarn and longrope are.");
        }
    }

    /// <summary>Gemma 3's sliding layers: a base of their own, no scaling.</summary>
    public static RopeParameters ReadLocal(GgufModel model, int headSize) => new()
    {
        Theta = model.Number("rope.freq_base_swa") ?? 10000,
        Dimensions = model.Integer("rope.dimension_count_swa") ?? model.Integer("rope.dimension_count") ?? headSize,
    };

    private static RopeParameters Yarn(GgufModel model, RopeParameters plain, double attention) => plain with
    {
        Scaling = RopeScaling.Yarn,
        BetaFast = model.Number("rope.scaling.yarn_beta_fast") ?? 32,
        BetaSlow = model.Number("rope.scaling.yarn_beta_slow") ?? 1,
        Magnitude = attention * (plain.Factor > 1 ? 0.1 * Math.Log(plain.Factor) + 1 : 1),
    };
}
