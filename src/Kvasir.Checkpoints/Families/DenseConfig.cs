using Kvasir.Checkpoints.HuggingFace;

namespace Kvasir.Checkpoints.Families;

/// <summary>Reads a dense model's numbers from config.json.</summary>
internal static class DenseConfig
{
    public static DenseShape Read(ConfigFields fields, DenseRules rules)
    {
        var config = fields.WithDefaults(rules.ConfigDefaults);
        int hidden = config.RequiredInteger("hidden_size"), heads = config.RequiredInteger("num_attention_heads");
        int layers = config.RequiredInteger("num_hidden_layers");
        var headSize = config.Integer("head_dim") ?? hidden / Math.Max(heads, 1);
        var attentionBias = config.Flag("attention_bias") ?? false;
        var scalar = config.Number("query_pre_attn_scalar");
        return new DenseShape
        {
            Architecture = config.Text("model_type")!,
            Name = config.Text("_name_or_path") is { Length: > 0 } name ? name : config.Text("model_type")!,
            VocabularySize = config.RequiredInteger("vocab_size"),
            HiddenSize = hidden,
            LayerCount = layers,
            Heads = heads,
            KeyValueHeads = config.Integer("num_key_value_heads") ?? heads,
            HeadSize = headSize,
            ValueHeadSize = headSize,
            IntermediateSize = config.RequiredInteger("intermediate_size"),
            ContextLength = config.RequiredInteger("max_position_embeddings"),
            Epsilon = (float)(config.Number("rms_norm_eps") ?? 1e-6),
            WeightOffset = rules.Gemma ? 1 : 0,
            Activation = rules.Gemma ? rules.Activation : ReadActivation(config),
            TiedEmbeddings = config.Flag("tie_word_embeddings") ?? rules.TiedByDefault,
            EmbeddingScale = (float)(config.Number("embedding_multiplier") ?? (rules.Gemma ? Math.Sqrt(hidden) : 1)),
            ResidualScale = (float)(config.Number("residual_multiplier") ?? 1),
            LogitScale = (float)(1 / (config.Number("logits_scaling") ?? 1)),
            LogitSoftcap = Positive(config.Number("final_logit_softcapping")),
            ScoreSoftcap = Positive(config.Number("attn_logit_softcapping")),
            AttentionScale = (float?)(scalar is null ? config.Number("attention_multiplier") : 1 / Math.Sqrt(scalar.Value)),
            Rope = RopeConfig.Read(config, headSize),
            LocalRope = rules.LocalRope ? RopeConfig.Read(config, headSize, sliding: true) : null,
            Pairing = RopePairing.Halves,
            Window = ReadWindow(config, rules),
            Slides = ReadSliding(config, rules, layers),
            SkipsRope = ReadSkips(config, rules, layers),
            QkvBias = rules.QkvBias ?? attentionBias,
            OutputBias = rules.QkvBias is null && attentionBias,
            FeedForwardBias = config.Flag("mlp_bias") ?? false,
            QkNorm = rules.QkNorm,
            PostNorms = rules.PostNorms,
        };
    }

    private static float? Positive(double? value) => value is > 0 ? (float)value : null;

    private static Activation ReadActivation(ConfigFields config) => (config.Text("hidden_act") ?? config.Text("hidden_activation") ?? "silu") switch
    {
        "silu" or "swish" => Activation.Silu,
        "gelu" => Activation.Gelu,
        "gelu_pytorch_tanh" or "gelu_new" or "gelu_fast" => Activation.GeluTanh,
        "relu" => Activation.Relu,
        "relu2" => Activation.ReluSquared,
        var other => throw new CheckpointException($"{config.Source}: the activation \"{other}\" is not known; silu, gelu, gelu_pytorch_tanh, relu and relu2 are."),
    };

    private static int? ReadWindow(ConfigFields config, DenseRules rules)
    {
        var used = rules.Sliding switch
        {
            SlidingLayers.None => false,
            SlidingLayers.Upper => config.Flag("use_sliding_window") ?? false,
            _ => true,
        };
        // Phi-4 and others say "no window" by null or 0.
        return used && config.Integer("sliding_window") is { } window and not 0 ? window : null;
    }

    private static Func<int, bool> ReadSliding(ConfigFields config, DenseRules rules, int layers)
    {
        if (config.Texts("layer_types") is { } types)
        {
            if (types.Length != layers)
                throw new CheckpointException($"{config.Source}: \"layer_types\" lists {types.Length} layers, where the model has {layers}.");
            foreach (var type in types)
                if (type is not ("full_attention" or "sliding_attention"))
                    throw new CheckpointException($"{config.Source}: the layer type \"{type}\" is not one of a dense model; full_attention and sliding_attention are.");
            return i => types[i] == "sliding_attention";
        }
        switch (rules.Sliding)
        {
            case SlidingLayers.Upper:
                var first = config.Integer("max_window_layers") ?? 28;
                return i => i >= first;
            case SlidingLayers.AllButEveryNth:
                var period = config.Integer("sliding_window_pattern") ?? rules.SlidingPeriod;
                if (period < 1) throw new CheckpointException($"{config.Source}: \"sliding_window_pattern\" is {period}; a positive number was expected.");
                return i => (i + 1) % period != 0;
            default:
                return static _ => true;
        }
    }

    private static Func<int, bool> ReadSkips(ConfigFields config, DenseRules rules, int layers)
    {
        if (!rules.NoRopeEveryFourth) return static _ => false;
        // The list says 1 where there is a rotary embedding.
        if (config.Numbers("no_rope_layers") is { Length: > 0 } listed)
            return listed.Length == layers ? i => listed[i] == 0
                : throw new CheckpointException($"{config.Source}: \"no_rope_layers\" lists {listed.Length} layers, where the model has {layers}.");
        var interval = config.Integer("no_rope_layer_interval") ?? 4;
        return interval > 0 ? i => (i + 1) % interval == 0 : static _ => false;
    }
}
