using System.Text.Json.Nodes;
using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>config.json of a random model, as its family's published ones are.</summary>
internal static class SyntheticConfig
{
    public const double Epsilon = 1e-5, ScoreSoftcap = 50, LogitSoftcap = 30, Factor = 4, Llama3Factor = 8, LowFrequencyFactor = 1, HighFrequencyFactor = 4;

    public static JsonObject Of(SyntheticModel model)
    {
        var config = new JsonObject
        {
            ["model_type"] = model.HuggingFaceType,
            ["vocab_size"] = model.Vocabulary,
            ["hidden_size"] = model.Hidden,
            ["intermediate_size"] = model.FeedForward,
            ["num_hidden_layers"] = model.Layers,
            ["num_attention_heads"] = model.Heads,
            ["num_key_value_heads"] = model.KeyValueHeads,
            ["head_dim"] = model.EffectiveHeadSize,
            ["max_position_embeddings"] = model.Context,
            ["rms_norm_eps"] = Epsilon,
            ["rope_theta"] = model.Theta,
            ["hidden_act"] = model.IsGemma ? "gelu_pytorch_tanh" : "silu",
            ["tie_word_embeddings"] = model.IsTied,
            ["bos_token_id"] = SyntheticTokenizer.BeginId,
            ["eos_token_id"] = SyntheticTokenizer.EndId,
            ["torch_dtype"] = model.Type switch { TensorType.BF16 => "bfloat16", TensorType.F16 => "float16", _ => "float32" },
        };
        if (model.Window > 0) config["sliding_window"] = model.Window;
        if (model.IsGemma) config["query_pre_attn_scalar"] = model.EffectiveHeadSize;
        if (model.Family == SyntheticFamily.Gemma2)
        {
            config["attn_logit_softcapping"] = ScoreSoftcap;
            config["final_logit_softcapping"] = LogitSoftcap;
        }
        if (model.Family == SyntheticFamily.Gemma3)
        {
            config["sliding_window_pattern"] = 6;
            config["rope_local_base_freq"] = 10000;
        }
        if (model.RotaryShare != 1) config["partial_rotary_factor"] = model.RotaryShare;
        if (Scaling(model) is { } scaling) config["rope_scaling"] = scaling;
        if (model.Scaling == SyntheticScaling.LongRope) config["original_max_position_embeddings"] = model.OriginalContext;
        return config;
    }

    private static JsonObject? Scaling(SyntheticModel model)
    {
        var (shortFactors, longFactors) = model.LongRopeFactors();
        return model.Scaling switch
        {
            SyntheticScaling.Linear => new() { ["rope_type"] = "linear", ["factor"] = Factor },
            SyntheticScaling.Yarn => new() { ["rope_type"] = "yarn", ["factor"] = Factor, ["original_max_position_embeddings"] = model.OriginalContext },
            SyntheticScaling.Llama3 => new()
            {
                ["rope_type"] = "llama3", ["factor"] = Llama3Factor, ["low_freq_factor"] = LowFrequencyFactor,
                ["high_freq_factor"] = HighFrequencyFactor, ["original_max_position_embeddings"] = model.OriginalContext,
            },
            SyntheticScaling.LongRope => new() { ["type"] = "longrope", ["short_factor"] = List(shortFactors), ["long_factor"] = List(longFactors) },
            _ => null,
        };
    }

    private static JsonArray List(float[] values) => new([.. values.Select(value => (JsonNode)value)]);
}
