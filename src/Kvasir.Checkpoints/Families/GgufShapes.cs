using System.Text.Json;
using System.Text.Json.Nodes;
using Kvasir.Checkpoints.Gguf;

namespace Kvasir.Checkpoints.Families;

/// <summary>
/// Reads GGUF metadata of models that can be planned but not run here, as the config.json that it was converted from.
/// Keys are those of github.com/ggml-org/ggml, docs/gguf.md, and of llama.cpp's converter.
/// </summary>
internal static class GgufShapes
{
    private static readonly Dictionary<string, string> Types = new(StringComparer.Ordinal)
    {
        ["llama"] = "mixtral", ["qwen2moe"] = "qwen2_moe", ["qwen3moe"] = "qwen3_moe", ["qwen3vlmoe"] = "qwen3_moe", ["qwen2vl"] = "qwen2", ["qwen3vl"] = "qwen3",
        ["gpt-oss"] = "gpt_oss", ["deepseek2"] = "deepseek_v2", ["qwen3next"] = "qwen3_next", ["qwen35"] = "qwen3_5", ["qwen35moe"] = "qwen3_5_moe", ["mamba"] = "mamba",
        ["mamba2"] = "mamba2", ["falcon"] = "falcon", ["phi2"] = "phi", ["gptneox"] = "gpt_neox", ["command-r"] = "cohere", ["cohere2"] = "cohere2", ["olmo2"] = "olmo2",
        ["llama4"] = "llama4", ["gemma4"] = "gemma4", ["lfm2"] = "lfm2", ["minimax-m2"] = "minimax_m2", ["bert"] = "bert", ["internlm2"] = "llama", ["exaone"] = "llama",
        ["stablelm"] = "llama", ["seed_oss"] = "llama", ["mistral3"] = "llama", ["phimoe"] = "phimoe",
    };

    private static readonly (string Gguf, string[] Config)[] Numbers =
    [
        ("embedding_length", ["hidden_size"]), ("block_count", ["num_hidden_layers"]), ("context_length", ["max_position_embeddings"]), ("vocab_size", ["vocab_size"]),
        ("attention.head_count", ["num_attention_heads"]), ("feed_forward_length", ["intermediate_size"]), ("attention.key_length", ["head_dim"]), ("rope.freq_base", ["rope_theta"]),
        ("attention.sliding_window", ["sliding_window"]), ("expert_count", ["num_experts", "num_local_experts", "n_routed_experts"]), ("expert_used_count", ["num_experts_per_tok"]),
        ("expert_feed_forward_length", ["moe_intermediate_size"]), ("expert_shared_count", ["n_shared_experts"]), ("expert_shared_feed_forward_length", ["shared_expert_intermediate_size"]),
        ("leading_dense_block_count", ["first_k_dense_replace"]), ("attention.kv_lora_rank", ["kv_lora_rank"]), ("attention.q_lora_rank", ["q_lora_rank"]),
        ("rope.dimension_count", ["qk_rope_head_dim"]), ("attention.value_length_mla", ["v_head_dim"]), ("nextn_predict_layers", ["num_nextn_predict_layers"]),
        ("ssm.conv_kernel", ["conv_kernel", "linear_conv_kernel_dim"]), ("ssm.state_size", ["state_size", "linear_key_head_dim", "linear_value_head_dim"]),
        ("ssm.group_count", ["n_groups", "linear_num_key_heads"]), ("ssm.time_step_rank", ["time_step_rank", "num_heads", "linear_num_value_heads"]),
        ("full_attention_interval", ["full_attention_interval"]), ("shortconv.l_cache", ["conv_L_cache"]), ("interleave_moe_layer_step", ["interleave_moe_layer_step"]),
    ];

    /// <summary>Whether the metadata is of such a model; a Mixtral calls itself llama.</summary>
    public static bool Knows(GgufModel model) => Types.ContainsKey(model.Architecture) && (model.Architecture != "llama" || (model.Metadata.TryGetInt("llama.expert_count", out var experts) && experts > 0));

    public static ModelSpec Read(GgufModel model)
    {
        var config = new JsonObject { ["model_type"] = Types[model.Architecture], ["rope_theta"] = 10000.0 };
        foreach (var (key, names) in Numbers)
            if (Number(model, key) is { } value)
                foreach (var name in names) config[name] = value;
        if (model.List("attention.head_count_kv") is { Length: > 0 } heads)
        {
            config["num_key_value_heads"] = heads.Max();
            // Hybrids name their attention layers by the layers that have key/value heads.
            config["layer_types"] = new JsonArray([.. heads.Select(count => (JsonNode)(count > 0 ? "full_attention" : "linear_attention"))]);
        }
        else if (model.Integer("attention.head_count_kv") is { } count)
        {
            config["num_key_value_heads"] = count;
        }
        if (config["vocab_size"] is null && model.Metadata.Values.TryGetValue("tokenizer.ggml.tokens", out var tokens)) config["vocab_size"] = tokens.Count;
        Latent(model, config);
        Recurrent(model, config);
        using var document = JsonDocument.Parse(config.ToJsonString());
        var spec = ModelSpecReader.FromConfig(document.RootElement, model.Source);
        return spec with { Architecture = model.Architecture, Name = model.Metadata.TryGetString("general.name", out var given) ? given : model.Architecture };
    }

    /// <summary>Files converted since multi-head latent attention runs absorbed carry the heads' own sizes apart.</summary>
    private static void Latent(GgufModel model, JsonObject config)
    {
        if (model.Architecture != "deepseek2") return;
        var rotary = Number(model, "rope.dimension_count") ?? 64;
        config["qk_nope_head_dim"] = (Number(model, "attention.key_length_mla") ?? Number(model, "attention.key_length") ?? 192) - rotary;
        config["v_head_dim"] ??= Number(model, "attention.value_length") ?? 128;
        // Sigmoid gates came with V3 and its router's correction.
        if (model.Integer("expert_gating_func") == 2) config["model_type"] = "deepseek_v3";
    }

    private static void Recurrent(GgufModel model, JsonObject config)
    {
        if (Number(model, "ssm.inner_size") is not { } inner) return;
        if (Number(model, "ssm.time_step_rank") is { } heads and > 0)
        {
            config["linear_value_head_dim"] = inner / heads;
            if (model.Architecture == "mamba2") config["head_dim"] = inner / heads;
        }
        if (model.Architecture == "mamba") config["intermediate_size"] = inner;
    }

    private static double? Number(GgufModel model, string key) =>
        model.Metadata.Values.TryGetValue($"{model.Architecture}.{key}", out var value) && value.IsArray
            ? model.List(key) is { Length: > 0 } list ? list.Max() : null
            : model.Number(key);
}
