using System.Text.Json;
using System.Text.Json.Nodes;
using Kvasir.Checkpoints;
using Kvasir.Planning.Tests.Reference;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Tests.Accuracy;

/// <summary>A model of model-configs.json as the config.json that its facts come from.</summary>
internal static class LoggedModel
{
    private static readonly (string Name, string Type)[] Types =
    [
        ("gpt-oss", "gpt_oss"), ("Qwen3-Next", "qwen3_next"), ("Qwen3.5", "qwen3_5"), ("Qwen3.6", "qwen3_6"), ("Qwen3", "qwen3"), ("Qwen2", "qwen2"), ("Qwen1.5", "qwen2"),
        ("gemma-3", "gemma3_text"), ("gemma-4", "gemma4"), ("Olmo-3", "olmo3"), ("LFM2", "lfm2"), ("pythia", "gpt_neox"), ("bge", "bert"), ("command-r", "cohere"),
        ("phi", "phi3"), ("granite", "granite"), ("MiniMax", "minimax_m2"), ("Llama-4", "llama4"), ("Mixtral", "mixtral"),
    ];

    // max_position_embeddings of the published configurations, which the data leaves out.
    private static readonly (string Name, int Tokens)[] Contexts =
    [
        ("Llama-2", 4096), ("Llama-4", 1048576), ("Llama-3", 131072), ("gpt-oss", 131072), ("Qwen3-Next", 262144), ("Qwen3.", 262144), ("Qwen3", 40960), ("Qwen2.5-VL", 128000),
        ("Qwen", 32768), ("gemma", 131072), ("DeepSeek", 163840), ("Kimi", 262144), ("Moonlight", 8192), ("phi-4", 16384), ("Phi-4-mini", 131072), ("Phi-3", 4096), ("MiniMax", 196608),
        ("Mistral-Small", 131072), ("pythia", 2048), ("bge", 512), ("TriLM", 2048),
    ];

    /// <summary>The spec, or null where the facts do not suffice to make one.</summary>
    public static ModelSpec? Find(string name, IReadOnlyDictionary<string, JsonElement> configs)
    {
        if (!configs.TryGetValue(name, out var facts) || !facts.TryGetProperty("hidden_size", out _)) return null;
        // Facts that nobody verified say nothing of a plan's accuracy.
        if (facts.GetProperty("confidence").GetString() == "low") return null;
        try
        {
            var spec = ModelSpecReader.FromConfig(JsonSerializer.SerializeToElement(Config(name, facts)), name);
            // Qwen2.5-VL's tower as its configuration has it; of others only the size is known.
            var qwen = name.Contains("Qwen2.5-VL", StringComparison.Ordinal) || name.Contains("Qwen2.5-Omni", StringComparison.Ordinal);
            return spec with { EncoderParameters = Encoder(name, facts, spec), EncoderPatches = qwen ? 65536 : 0, EncoderWidth = qwen ? 1280 : 0 };
        }
        catch (CheckpointException)
        {
            return null;
        }
    }

    /// <summary>Towers count as what the published total holds beyond the text model.</summary>
    private static long Encoder(string name, JsonElement facts, ModelSpec spec)
    {
        var multimodal = facts.TryGetProperty("vision", out _) || name.Contains("-VL-", StringComparison.Ordinal) || name.Contains("Omni", StringComparison.Ordinal);
        return multimodal && facts.TryGetProperty("total_params", out var total) ? Math.Max(0, (long)total.GetDouble() - WeightInventory.Parameters(spec)) : 0;
    }

    private static JsonObject Config(string name, JsonElement facts)
    {
        var config = JsonNode.Parse(facts.GetRawText())!.AsObject();
        var kind = config["arch"]!.GetValue<string>();
        config["model_type"] = Type(name, kind);
        config["max_position_embeddings"] = Contexts.FirstOrDefault(pair => name.Contains(pair.Name, StringComparison.Ordinal)).Tokens is > 0 and var tokens ? tokens : 32768;
        config["rope_theta"] ??= 10000.0;
        config["num_local_experts"] = config["num_experts"]?.DeepClone();
        config["n_routed_experts"] = config["num_experts"]?.DeepClone();
        config["n_shared_experts"] = config["num_shared_experts"]?.DeepClone();
        if (config["intermediate_size"] is null && config["moe_intermediate_size"] is { } width) config["intermediate_size"] = width.DeepClone();
        if (name.Contains("Llama-4", StringComparison.Ordinal)) config["interleave_moe_layer_step"] = 2;
        if (name.Contains("LFM2", StringComparison.Ordinal)) config["full_attn_idxs"] = new JsonArray(2, 5, 8, 10, 12, 14);
        return config;
    }

    private static string Type(string name, string kind)
    {
        if (kind == "mla-moe") return name.Contains("V2", StringComparison.Ordinal) ? "deepseek_v2" : "deepseek_v3";
        var type = Types.FirstOrDefault(pair => name.Contains(pair.Name, StringComparison.OrdinalIgnoreCase)).Type ?? "llama";
        return kind == "moe" && type == "qwen3" ? "qwen3_moe" : type;
    }
}
