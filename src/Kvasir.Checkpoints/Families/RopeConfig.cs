using System.Collections.Immutable;
using System.Text.Json;
using Kvasir.Checkpoints.HuggingFace;

namespace Kvasir.Checkpoints.Families;

/// <summary>Rotary parameters of config.json: rope_theta with rope_scaling, or the newer rope_parameters, flat or by kind of layer.</summary>
internal static class RopeConfig
{
    /// <summary>Parameters of full layers, or of sliding ones where <paramref name="sliding"/>.</summary>
    public static RopeParameters Read(ConfigFields config, int headSize, bool sliding = false)
    {
        var scaling = Scaling(config, sliding);
        var theta = scaling.Number("rope_theta")
            ?? (sliding ? config.Number("rope_local_base_freq") : null)
            ?? config.Number("rope_theta") ?? 10000;
        var partial = scaling.Number("partial_rotary_factor") ?? config.Number("partial_rotary_factor") ?? 1;
        var plain = new RopeParameters { Theta = theta, Dimensions = (int)(headSize * partial) };
        return (scaling.Text("rope_type") ?? scaling.Text("type") ?? "default") switch
        {
            // Dynamic NTK changes the base only beyond max_position_embeddings, which is the context that the spec gives.
            "default" or "dynamic" or "none" or "mrope" => plain,
            "linear" => plain with { Scaling = RopeScaling.Linear, Factor = scaling.RequiredNumber("factor") },
            "llama3" => Llama3(plain, config, scaling),
            "yarn" => Yarn(plain, config, scaling),
            "longrope" or "su" => LongRope(plain, config, scaling),
            var other => throw new CheckpointException($"{config.Source}: rotary scaling \"{other}\" is not known; default, linear, dynamic, llama3, yarn and longrope are."),
        };
    }

    private static ConfigFields Scaling(ConfigFields config, bool sliding)
    {
        var source = config.Source;
        var none = new ConfigFields(JsonDocument.Parse("{}").RootElement, source);
        if (config.Object("rope_parameters") is { } parameters)
        {
            var byLayer = new ConfigFields(parameters, source);
            if (byLayer.Object(sliding ? "sliding_attention" : "full_attention") is { } own) return new ConfigFields(own, source);
            return sliding && config.Has("rope_local_base_freq") ? none : byLayer;
        }
        // rope_scaling is of the full layers; only Gemma 3 has others, and these are not scaled.
        return !sliding && config.Object("rope_scaling") is { } scaling ? new ConfigFields(scaling, source) : none;
    }

    private static RopeParameters Llama3(RopeParameters plain, ConfigFields config, ConfigFields scaling) => plain with
    {
        Scaling = RopeScaling.Llama3,
        Factor = scaling.RequiredNumber("factor"),
        LowFrequencyFactor = scaling.RequiredNumber("low_freq_factor"),
        HighFrequencyFactor = scaling.RequiredNumber("high_freq_factor"),
        OriginalContext = scaling.Number("original_max_position_embeddings") ?? config.RequiredNumber("max_position_embeddings"),
    };

    private static RopeParameters Yarn(RopeParameters plain, ConfigFields config, ConfigFields scaling)
    {
        var original = scaling.Number("original_max_position_embeddings") ?? config.RequiredNumber("max_position_embeddings");
        return plain with
        {
            Scaling = RopeScaling.Yarn,
            OriginalContext = original,
            Factor = scaling.Number("factor") ?? config.RequiredNumber("max_position_embeddings") / original,
            BetaFast = scaling.Number("beta_fast") ?? 32,
            BetaSlow = scaling.Number("beta_slow") ?? 1,
            Truncate = scaling.Flag("truncate") ?? true,
            Magnitude = scaling.Number("attention_factor"),
            MagnitudeScale = scaling.Number("mscale") ?? 0,
            MagnitudeScaleAllDimensions = scaling.Number("mscale_all_dim") ?? 0,
        };
    }

    private static RopeParameters LongRope(RopeParameters plain, ConfigFields config, ConfigFields scaling)
    {
        var maximum = config.RequiredNumber("max_position_embeddings");
        var original = scaling.Number("original_max_position_embeddings") ?? config.Number("original_max_position_embeddings");
        return plain with
        {
            Scaling = RopeScaling.LongRope,
            OriginalContext = original ?? maximum,
            Factor = original is null ? scaling.Number("factor") ?? 1 : maximum / original.Value,
            Magnitude = scaling.Number("attention_factor"),
            Divisors = Floats(scaling, "short_factor"),
            LongDivisors = Floats(scaling, "long_factor"),
        };
    }

    private static ImmutableArray<float> Floats(ConfigFields scaling, string name) =>
        [.. (scaling.Numbers(name) ?? throw scaling.Missing(name)).Select(number => (float)number)];
}
