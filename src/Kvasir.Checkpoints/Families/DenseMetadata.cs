using Kvasir.Checkpoints.Gguf;

namespace Kvasir.Checkpoints.Families;

/// <summary>Reads a dense model's numbers from GGUF metadata.</summary>
internal static class DenseMetadata
{
    public static DenseShape Read(GgufModel model, DenseRules rules)
    {
        int hidden = model.RequiredInteger("embedding_length"), heads = model.RequiredInteger("attention.head_count");
        int layers = model.RequiredInteger("block_count");
        var headSize = model.Integer("attention.key_length") ?? hidden / Math.Max(heads, 1);
        if (model.Integer("expert_count") is > 0)
            throw new CheckpointException($"{model.Source} is a mixture of experts, which the architecture \"{model.Architecture}\" is not read as; dense models of it are.");
        return new DenseShape
        {
            Architecture = model.Architecture,
            Name = model.Metadata.TryGetString("general.name", out var name) ? name : model.Architecture,
            VocabularySize = Vocabulary(model),
            HiddenSize = hidden,
            LayerCount = layers,
            Heads = heads,
            KeyValueHeads = model.Integer("attention.head_count_kv") ?? heads,
            HeadSize = headSize,
            ValueHeadSize = model.Integer("attention.value_length") ?? hidden / Math.Max(heads, 1),
            IntermediateSize = model.RequiredInteger("feed_forward_length"),
            ContextLength = model.RequiredInteger("context_length"),
            Epsilon = (float)model.RequiredNumber("attention.layer_norm_rms_epsilon"),
            Activation = rules.Activation,
            TiedEmbeddings = model.HasTensors ? model.Tensor("output.weight") is null : rules.TiedByDefault,
            EmbeddingScale = (float)(model.Number("embedding_scale") ?? (rules.Gemma ? Math.Sqrt(hidden) : 1)),
            ResidualScale = (float)(model.Number("residual_scale") ?? 1),
            LogitScale = model.Number("logit_scale") is { } scale and not 0 ? (float)(1 / scale) : 1,
            LogitSoftcap = Positive(model.Number("final_logit_softcapping") ?? Default(rules, "final_logit_softcapping")),
            ScoreSoftcap = Positive(model.Number("attn_logit_softcapping") ?? Default(rules, "attn_logit_softcapping")),
            AttentionScale = AttentionScale(model, rules, hidden, heads, layers),
            Rope = RopeMetadata.Read(model, headSize),
            LocalRope = rules.LocalRope ? RopeMetadata.ReadLocal(model, headSize) : null,
            Pairing = rules.GgufPairing,
            Window = Window(model, rules),
            Slides = Sliding(model, rules, layers),
            SkipsRope = i => rules.NoRopeEveryFourth && (i + 1) % 4 == 0,
            QkvBias = HasBias(model, "attn_q", "attn_qkv") ?? rules.QkvBias ?? false,
            OutputBias = HasBias(model, "attn_output") ?? false,
            FeedForwardBias = HasBias(model, "ffn_down") ?? false,
            QkNorm = rules.QkNorm,
            PostNorms = rules.PostNorms,
        };
    }

    private static double? Default(DenseRules rules, string field) => rules.ConfigDefaults.TryGetValue(field, out var value) ? value : null;

    private static float? Positive(double? value) => value is > 0 ? (float)value : null;

    /// <summary>Converters write biases where the model has them and say nothing of it in the metadata.</summary>
    private static bool? HasBias(GgufModel model, params ReadOnlySpan<string> roles)
    {
        if (!model.HasTensors) return null;
        foreach (var role in roles)
            if (model.Tensor($"blk.0.{role}.bias") is not null)
                return true;
        return false;
    }

    private static int Vocabulary(GgufModel model)
    {
        if (model.Tensor("token_embd.weight") is { } embedding && embedding.Rows <= DenseShape.MaximumVocabulary) return (int)embedding.Rows;
        if (model.Integer("vocab_size") is { } size) return size;
        return model.Metadata.Values.TryGetValue("tokenizer.ggml.tokens", out var tokens) && tokens.Count <= DenseShape.MaximumVocabulary ? (int)tokens.Count
            : throw new CheckpointException($"{model.Source} has neither \"{model.Architecture}.vocab_size\" nor tokenizer.ggml.tokens, so the vocabulary's size is not known.");
    }

    private static float? AttentionScale(GgufModel model, DenseRules rules, int hidden, int heads, int layers)
    {
        if (model.Number("attention.scale") is { } given and not 0) return (float)given;
        // Gemma 2 and 3 of 27 B; their files do not say it, and readers know them by their number of layers.
        return rules.WideScaleLayers != 0 && layers == rules.WideScaleLayers && heads > 0 ? 1 / MathF.Sqrt(hidden / heads) : null;
    }

    private static int? Window(GgufModel model, DenseRules rules)
    {
        // Qwen's converter leaves the window out, since its models do not use theirs.
        if (rules.Sliding is SlidingLayers.None or SlidingLayers.Upper) return null;
        return (model.Integer("attention.sliding_window") ?? rules.DefaultWindow) is { } window and not 0 ? window : null;
    }

    private static Func<int, bool> Sliding(GgufModel model, DenseRules rules, int layers)
    {
        if (model.List("attention.sliding_window_pattern") is { } listed)
            return listed.Length >= layers ? i => listed[i] != 0
                : throw new CheckpointException($"{model.Source}: \"{model.Architecture}.attention.sliding_window_pattern\" lists {listed.Length} layers, where the model has {layers}.");
        if (rules.Sliding != SlidingLayers.AllButEveryNth) return static _ => true;
        // 0 means that every layer slides.
        var period = model.Integer("attention.sliding_window_pattern") ?? rules.SlidingPeriod;
        return period switch
        {
            0 => static _ => true,
            > 0 => i => (i + 1) % period != 0,
            _ => throw new CheckpointException($"{model.Source}: \"{model.Architecture}.attention.sliding_window_pattern\" is {period}; a positive number was expected."),
        };
    }
}
