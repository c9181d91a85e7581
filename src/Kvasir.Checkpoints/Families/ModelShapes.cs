using System.Collections.Immutable;
using System.Text.Json;

namespace Kvasir.Checkpoints.Families;

/// <summary>
/// The shapes of models that can be planned but not run here, from their <c>config.json</c>: mixtures of experts, latent
/// attention, hybrids, and relatives of the dense families. Rotary frequencies and tensors are left out.
/// </summary>
internal static class ModelShapes
{
    private const int MaximumLayers = 10_000;

    private static readonly Dictionary<string, Func<ConfigValues, ModelSpec>> Readers = Build();

    /// <summary>The <c>model_type</c> values that can be read.</summary>
    public static IReadOnlyCollection<string> Families { get; } = [.. Readers.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Reads a configuration; a <see cref="CheckpointException"/> names what is missing or unknown.</summary>
    public static ModelSpec FromConfig(JsonElement config, string name)
    {
        var values = new ConfigValues(config, name);
        var family = values.Text("model_type") ?? FromArchitecture(values)
            ?? throw new CheckpointException($"{name} lacks \"model_type\", so what model it is cannot be known.");
        if (!Readers.TryGetValue(family, out var reader) && !Readers.TryGetValue(family.Replace("_text", "", StringComparison.Ordinal), out reader))
            throw new CheckpointException(
                $"{name}: the architecture \"{family}\" is not known. Known are {string.Join(", ", ModelSpecReader.PlannedArchitectures)}.");
        var spec = reader(values);
        if (spec.Layers.Length is 0 or > MaximumLayers)
            throw new CheckpointException($"The configuration of {name} describes {spec.Layers.Length} layers; between 1 and {MaximumLayers} were expected.");
        return spec with { Architecture = family };
    }

    private static string? FromArchitecture(ConfigValues values) =>
        values.Texts("architectures") is [var first, ..]
            ? Readers.Keys.FirstOrDefault(key => first.Replace("ForCausalLM", "", StringComparison.Ordinal)
                .Equals(key.Replace("_", "", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase))
            : null;

    private static Dictionary<string, Func<ConfigValues, ModelSpec>> Build()
    {
        var readers = new Dictionary<string, Func<ConfigValues, ModelSpec>>(StringComparer.Ordinal);
        void Add(Func<ConfigValues, ModelSpec> reader, params string[] names)
        {
            foreach (var name in names) readers[name] = reader;
        }
        Add(As("llama"), "mistral3", "ministral3", "internlm2", "llava", "llava_next", "exaone", "stablelm", "seed_oss", "pixtral");
        Add(As("qwen2"), "qwen2_vl", "qwen2_5_vl", "qwen2_5_omni", "qwen2_audio");
        Add(As("qwen3"), "qwen3_vl");
        Add(DenseShapes.Olmo, "olmo2", "olmo3");
        Add(DenseShapes.Cohere, "cohere", "cohere2");
        Add(DenseShapes.Falcon, "falcon", "RefinedWebModel");
        Add(DenseShapes.Phi2, "phi");
        Add(DenseShapes.GptNeoX, "gpt_neox");
        Add(DenseShapes.Bert, "bert");
        Add(ExpertShapes.Mixtral, "mixtral", "phimoe");
        Add(ExpertShapes.QwenMoe, "qwen2_moe", "qwen3_moe", "qwen3_omni_moe", "qwen3_vl_moe");
        Add(ExpertShapes.MiniMax, "minimax_m2", "minimax");
        Add(ExpertShapes.GptOss, "gpt_oss");
        Add(ExpertShapes.Llama4, "llama4", "llama4_text");
        Add(ExpertShapes.Gemma4, "gemma4", "gemma4_text");
        Add(LatentShapes.DeepSeek, "deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "kimi_k25", "kimi_vl");
        Add(HybridShapes.QwenNext, "qwen3_next", "qwen3_5", "qwen3_5_moe", "qwen3_6", "qwen3_6_moe");
        Add(HybridShapes.NemotronH, "nemotron_h");
        Add(HybridShapes.Mamba, "mamba", "falcon_mamba");
        Add(HybridShapes.Mamba2, "mamba2");
        Add(HybridShapes.Lfm2, "lfm2");
        Add(HybridShapes.GraniteHybrid, "granitemoehybrid");
        Add(HybridShapes.CrossAttention, "mllama", "mllama_text_model");
        return readers;
    }

    /// <summary>A family whose text part has the shapes of a runnable one.</summary>
    private static Func<ConfigValues, ModelSpec> As(string type) => values => ModelSpecReader.FromConfigOfType(type, values.ToFields());

    /// <summary>A model's outer shape; each layer by its index.</summary>
    internal static ModelSpec Model(ConfigValues values, NormKind norm, bool tiedByDefault, Func<int, LayerSpec> layer, int? layers = null)
    {
        var count = layers ?? values.Required("num_hidden_layers", "n_layer", "num_layers");
        if (count is 0 or > MaximumLayers)
            throw new CheckpointException($"The configuration of {values.Name} describes {count} layers; between 1 and {MaximumLayers} were expected.");
        var vocabulary = values.Required("vocab_size");
        if (vocabulary == 0) throw new CheckpointException($"The configuration of {values.Name} has \"vocab_size\": 0; at least 1 was expected.");
        return new ModelSpec
        {
            Architecture = "",
            Name = values.Name,
            VocabularySize = vocabulary,
            HiddenSize = values.Required("hidden_size", "n_embd", "d_model"),
            ContextLength = values.Int("max_position_embeddings", values.Int("max_seq_len", values.Int("n_positions", 32768))),
            Norm = new NormSpec(norm, (float)values.Number("rms_norm_eps", 1e-6)),
            TiedEmbeddings = values.Flag("tie_word_embeddings", tiedByDefault),
            PredictionLayers = values.Int("num_nextn_predict_layers", 0),
            Layers = [.. Enumerable.Range(0, count).Select(layer)],
        };
    }

    /// <summary>Grouped-query attention from the usual keys.</summary>
    internal static AttentionSpec Attention(ConfigValues values)
    {
        var heads = values.Required("num_attention_heads", "n_head");
        if (heads == 0) throw new CheckpointException($"The configuration of {values.Name} describes 0 attention heads; at least 1 was expected.");
        var hidden = values.Required("hidden_size", "n_embd", "d_model");
        var size = values.Int("head_dim", values.Int("attention_head_dim", hidden / heads));
        return new AttentionSpec
        {
            Heads = heads,
            KeyValueHeads = values.Int("num_key_value_heads", heads),
            HeadSize = size,
            ValueHeadSize = size,
            Scale = size > 0 ? 1 / MathF.Sqrt(size) : 1,
        };
    }

    internal static DenseFeedForwardSpec Gated(int width, Activation activation = Activation.Silu) =>
        new() { IntermediateSize = width, Activation = activation };
}
