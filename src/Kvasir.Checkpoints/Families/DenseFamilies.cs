using System.Collections.Immutable;
using Kvasir.Checkpoints.Gguf;
using Kvasir.Checkpoints.HuggingFace;

namespace Kvasir.Checkpoints.Families;

/// <summary>The dense families, as differences from Llama.</summary>
internal static class DenseFamilies
{
    // What the published configurations of the Gemma 3 text models leave to their class's defaults.
    private static readonly ImmutableDictionary<string, double> Gemma3Defaults = new Dictionary<string, double>
    {
        ["vocab_size"] = 262208, ["num_attention_heads"] = 8, ["num_key_value_heads"] = 4, ["head_dim"] = 256,
        ["max_position_embeddings"] = 131072, ["rms_norm_eps"] = 1e-6, ["query_pre_attn_scalar"] = 256,
        ["sliding_window"] = 4096, ["rope_theta"] = 1e6, ["rope_local_base_freq"] = 10000,
    }.ToImmutableDictionary();

    private static readonly ImmutableDictionary<string, double> Gemma2Defaults = new Dictionary<string, double>
    {
        ["head_dim"] = 256, ["query_pre_attn_scalar"] = 256, ["sliding_window"] = 4096,
        ["attn_logit_softcapping"] = 50, ["final_logit_softcapping"] = 30,
    }.ToImmutableDictionary();

    private static readonly DenseRules[] Rules =
    [
        new()
        {
            HuggingFaceTypes = ["llama", "Yi"],
            GgufArchitectures = ["llama"],
            GgufPairing = RopePairing.Adjacent,
            Sliding = SlidingLayers.All,
        },
        new()
        {
            HuggingFaceTypes = ["mistral", "ministral"],
            GgufArchitectures = [],
            QkvBias = false,
            Sliding = SlidingLayers.All,
        },
        new()
        {
            HuggingFaceTypes = ["smollm3"],
            GgufArchitectures = ["smollm3"],
            GgufPairing = RopePairing.Adjacent,
            TiedByDefault = true,
            NoRopeEveryFourth = true,
        },
        new()
        {
            HuggingFaceTypes = ["granite"],
            GgufArchitectures = ["granite"],
            GgufPairing = RopePairing.Adjacent,
        },
        new()
        {
            HuggingFaceTypes = ["qwen2"],
            GgufArchitectures = ["qwen2"],
            QkvBias = true,
            Sliding = SlidingLayers.Upper,
        },
        new()
        {
            HuggingFaceTypes = ["qwen3"],
            GgufArchitectures = ["qwen3"],
            QkNorm = true,
            Sliding = SlidingLayers.Upper,
            ConfigDefaults = ImmutableDictionary<string, double>.Empty.Add("head_dim", 128),
        },
        new()
        {
            HuggingFaceTypes = ["phi3"],
            GgufArchitectures = ["phi3"],
            QkvBias = false,
            Sliding = SlidingLayers.All,
        },
        new()
        {
            HuggingFaceTypes = ["gemma"],
            GgufArchitectures = ["gemma"],
            Gemma = true,
            TiedByDefault = true,
            Activation = Activation.GeluTanh,
            ConfigDefaults = ImmutableDictionary<string, double>.Empty.Add("head_dim", 256),
        },
        new()
        {
            HuggingFaceTypes = ["gemma2"],
            GgufArchitectures = ["gemma2"],
            Gemma = true,
            TiedByDefault = true,
            Activation = Activation.GeluTanh,
            PostNorms = true,
            Sliding = SlidingLayers.AllButEveryNth,
            SlidingPeriod = 2,
            DefaultWindow = 4096,
            WideScaleLayers = 46,
            ConfigDefaults = Gemma2Defaults,
            HuggingFaceNames = TensorNames.HuggingFacePostNorms,
        },
        new()
        {
            HuggingFaceTypes = ["gemma3_text", "gemma3"],
            GgufArchitectures = ["gemma3"],
            Gemma = true,
            TiedByDefault = true,
            Activation = Activation.GeluTanh,
            QkNorm = true,
            PostNorms = true,
            Sliding = SlidingLayers.AllButEveryNth,
            SlidingPeriod = 6,
            LocalRope = true,
            WideScaleLayers = 62,
            ConfigDefaults = Gemma3Defaults,
            HuggingFaceNames = TensorNames.HuggingFacePostNorms,
        },
    ];

    /// <summary>The families that the engine can run.</summary>
    public static readonly ImmutableArray<ModelFamily> All = [.. Rules.Select(rules => new ModelFamily
    {
        HuggingFaceTypes = rules.HuggingFaceTypes,
        GgufArchitectures = rules.GgufArchitectures,
        FromConfig = config => DenseConfig.Read(config, rules).ToSpec(config.Source),
        FromGguf = model => DenseMetadata.Read(model, rules).ToSpec(model.Source),
        HuggingFaceNames = rules.HuggingFaceNames,
        GgufNames = TensorNames.Gguf,
    })];
}
