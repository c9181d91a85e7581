namespace Kvasir.Checkpoints.Families;

/// <summary>Dense models beyond those that run here: one feed-forward network per layer.</summary>
internal static class DenseShapes
{
    public static ModelSpec Olmo(ConfigValues values)
    {
        var window = values.IntOrNull("sliding_window");
        var attention = ModelShapes.Attention(values) with { QkNorm = true, QkNormOverAllHeads = true };
        return ModelShapes.Model(values, NormKind.Rms, false, index => Layer(
            attention with { SlidingWindow = Windowed(values, index, window is not null && (index + 1) % 4 != 0) ? window : null }, values) with { OnlyPostNorms = true });
    }

    public static ModelSpec Cohere(ConfigValues values)
    {
        var second = values.Text("model_type") == "cohere2";
        var window = second ? values.IntOrNull("sliding_window") : null;
        var attention = ModelShapes.Attention(values);
        return ModelShapes.Model(values, NormKind.Rms, true, index => new LayerSpec
        {
            Mixer = attention with { SlidingWindow = Windowed(values, index, (index + 1) % values.Int("sliding_window_pattern", 4) != 0) ? window : null },
            FeedForward = ModelShapes.Gated(values.Required("intermediate_size")),
            Parallel = true,
        });
    }

    public static ModelSpec Falcon(ConfigValues values)
    {
        var attention = ModelShapes.Attention(values);
        var separate = values.Flag("new_decoder_architecture", false);
        attention = attention with { KeyValueHeads = separate ? values.Int("num_kv_heads", attention.Heads) : values.Flag("multi_query", true) ? 1 : attention.Heads };
        return ModelShapes.Model(values, NormKind.Layer, true, _ => new LayerSpec
        {
            Mixer = attention,
            FeedForward = new DenseFeedForwardSpec { IntermediateSize = values.Int("ffn_hidden_size", 4 * values.Required("hidden_size")), Activation = Activation.Gelu, Gated = false },
            Parallel = true,
            SeparateParallelNorms = separate,
        });
    }

    public static ModelSpec Phi2(ConfigValues values) => Neo(values, separateNorms: false);

    public static ModelSpec GptNeoX(ConfigValues values) => Neo(values, separateNorms: true);

    public static ModelSpec Bert(ConfigValues values)
    {
        var attention = ModelShapes.Attention(values) with { QkvBias = true, OutputBias = true };
        return ModelShapes.Model(values, NormKind.Layer, true, _ => new LayerSpec
        {
            Mixer = attention,
            FeedForward = new DenseFeedForwardSpec { IntermediateSize = values.Required("intermediate_size"), Activation = Activation.Gelu, Gated = false, Bias = true },
            OnlyPostNorms = true,
        }) with { PositionRows = values.Int("max_position_embeddings", 512), TokenTypeRows = values.Int("type_vocab_size", 2), EncoderOnly = true };
    }

    private static ModelSpec Neo(ConfigValues values, bool separateNorms)
    {
        var attention = ModelShapes.Attention(values) with { QkvBias = true, OutputBias = true };
        return ModelShapes.Model(values, NormKind.Layer, false, _ => new LayerSpec
        {
            Mixer = attention,
            FeedForward = new DenseFeedForwardSpec { IntermediateSize = values.Required("intermediate_size", "n_inner"), Activation = Activation.Gelu, Gated = false, Bias = true },
            Parallel = true,
            SeparateParallelNorms = separateNorms,
        });
    }

    internal static bool Windowed(ConfigValues values, int index, bool otherwise) =>
        values.Texts("layer_types") is { } types && index < types.Length
            ? types[index].Contains("sliding", StringComparison.Ordinal) || types[index].Contains("chunked", StringComparison.Ordinal)
            : otherwise;

    private static LayerSpec Layer(AttentionSpec attention, ConfigValues values) => new()
    {
        Mixer = attention,
        FeedForward = ModelShapes.Gated(values.Required("intermediate_size")) with { Bias = values.Flag("mlp_bias", false) },
    };
}
