using System.Text.Json;
using System.Text.Json.Nodes;
using Kvasir.Checkpoints;

namespace Kvasir.Planning.Tests.Reference;

/// <summary>A model of worked_examples.json: its dimensions as a config.json, and the sums worked out from them.</summary>
internal sealed record WorkedExample(string Name, JsonElement Facts)
{
    public ModelSpec Spec => ModelSpecReader.FromConfig(JsonSerializer.SerializeToElement(Config()), Name);

    public long Number(string key) => Facts.GetProperty(key).GetInt64();

    public static IReadOnlyList<WorkedExample> All() =>
        [.. ReferenceData.Json("memory/worked_examples.json").GetProperty("models").EnumerateArray().Select(m => new WorkedExample(m.GetProperty("model").GetString()!, m))];

    private int Dim(string key) => Facts.GetProperty("dims").TryGetProperty(key, out var value) ? value.GetInt32() : 0;

    private JsonObject Config()
    {
        var config = new JsonObject
        {
            ["model_type"] = Type(), ["hidden_size"] = Dim("h"), ["num_hidden_layers"] = Dim("L"), ["vocab_size"] = Dim("V"),
            ["intermediate_size"] = Dim("I"), ["max_position_embeddings"] = 131072, ["rope_theta"] = 10000.0, ["tie_word_embeddings"] = Dim("tied") == 1,
        };
        void Set(string key, string dim)
        {
            if (Dim(dim) != 0) config[key] = Dim(dim);
        }
        Set("num_attention_heads", "H"); Set("num_key_value_heads", "K"); Set("head_dim", "D"); Set("sliding_window", "swa");
        Set("num_experts", "E"); Set("num_local_experts", "E"); Set("n_routed_experts", "E"); Set("moe_intermediate_size", "Im");
        if (Name.StartsWith("Llama-3.1", StringComparison.Ordinal))
        {
            config["rope_theta"] = 500000.0;
            config["rope_scaling"] = new JsonObject { ["rope_type"] = "llama3", ["factor"] = 8.0, ["low_freq_factor"] = 1.0, ["high_freq_factor"] = 4.0, ["original_max_position_embeddings"] = 8192 };
        }
        switch (Facts.GetProperty("family").GetString())
        {
            case "falcon":
                config["multi_query"] = true;
                config["tie_word_embeddings"] = true;
                break;
            case "mla":
                Set("q_lora_rank", "qr"); Set("kv_lora_rank", "kvr"); Set("qk_rope_head_dim", "rope"); Set("qk_nope_head_dim", "nope"); Set("v_head_dim", "vd");
                Set("n_shared_experts", "nshared"); Set("first_k_dense_replace", "first_dense"); Set("index_head_dim", "idx_dim"); Set("index_n_heads", "idx_heads");
                break;
            case "nh":
                Set("mamba_num_heads", "mh"); Set("mamba_head_dim", "mhd"); Set("ssm_state_size", "s"); Set("n_groups", "g"); Set("conv_kernel", "k");
                Set("moe_shared_expert_intermediate_size", "Is");
                config["hybrid_override_pattern"] = string.Concat(Facts.GetProperty("layer_counts").EnumerateObject().Select(p => new string(p.Name[0], p.Value.GetInt32())));
                break;
            case "qn":
                Set("full_attention_interval", "interval"); Set("linear_num_key_heads", "lk"); Set("linear_num_value_heads", "lv"); Set("linear_key_head_dim", "lkd");
                Set("linear_value_head_dim", "lvd"); Set("linear_conv_kernel_dim", "lconv"); Set("shared_expert_intermediate_size", "Is");
                break;
            case "m2":
                config["head_dim"] = Dim("dinner") / Dim("heads");
                config["tie_word_embeddings"] = true;
                Set("num_heads", "heads"); Set("n_groups", "g"); Set("state_size", "s"); Set("conv_kernel", "k");
                break;
        }
        return config;
    }

    private string Type() => Facts.GetProperty("family").GetString() switch
    {
        "falcon" => "falcon",
        "mla" => Dim("router_bias") == 1 ? "deepseek_v3" : "deepseek_v2",
        "nh" => "nemotron_h",
        "qn" => "qwen3_next",
        "m2" => "mamba2",
        _ when Dim("sinks") == 1 => "gpt_oss",
        _ when Dim("norms_per_layer") == 4 => Dim("qk_norm") == 1 ? "gemma3_text" : "gemma2",
        _ when Dim("E") > 0 => Dim("qk_norm") == 1 ? "qwen3_moe" : "mixtral",
        _ when Dim("qk_norm") == 1 => "qwen3",
        _ when Dim("qkv_bias") == 1 => "qwen2",
        _ => "llama",
    };
}
