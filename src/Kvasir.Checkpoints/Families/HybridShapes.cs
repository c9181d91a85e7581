namespace Kvasir.Checkpoints.Families;

/// <summary>Models whose layers differ in kind: state-space and linear layers beside attention, and cross-attention.</summary>
internal static class HybridShapes
{
    /// <summary>Qwen3-Next and Qwen3.5: gated delta nets, full attention with an output gate every few layers.</summary>
    public static ModelSpec QwenNext(ConfigValues values)
    {
        var attention = ModelShapes.Attention(values) with { QkNorm = true, OutputGate = true };
        var linear = new GatedDeltaNetSpec
        {
            KeyHeads = values.Required("linear_num_key_heads"),
            ValueHeads = values.Required("linear_num_value_heads"),
            KeyHeadSize = values.Required("linear_key_head_dim"),
            ValueHeadSize = values.Required("linear_value_head_dim"),
            ConvolutionWidth = values.Int("linear_conv_kernel_dim", 4),
            StateElementBytes = ElementBytes(values.Text("mamba_ssm_dtype")),
        };
        var interval = Math.Max(1, values.Int("full_attention_interval", 4));
        var types = values.Texts("layer_types");
        FeedForwardSpec feedForward = values.Int("num_experts", 0) > 0
            ? ExpertShapes.Experts(values, values.Required("moe_intermediate_size"), "num_experts") with
            {
                SharedIntermediateSize = values.Int("shared_expert_intermediate_size", values.Required("moe_intermediate_size")),
                SharedGate = true,
            }
            : ModelShapes.Gated(values.Required("intermediate_size"));
        return ModelShapes.Model(values, NormKind.Rms, false, index => new LayerSpec
        {
            Mixer = (types is not null && index < types.Length ? types[index] == "full_attention" : (index + 1) % interval == 0) ? attention : linear,
            FeedForward = feedForward,
        });
    }

    /// <summary>Nemotron-H: one kind per layer by <c>hybrid_override_pattern</c> (M Mamba-2, * attention, - dense, E experts).</summary>
    public static ModelSpec NemotronH(ConfigValues values)
    {
        var pattern = values.Text("hybrid_override_pattern")
            ?? throw new CheckpointException($"The configuration of {values.Name} lacks hybrid_override_pattern, which says what each layer is.");
        var attention = ModelShapes.Attention(values);
        var mamba = Mamba2Mixer(values, values.Int("mamba_num_heads", values.Int("num_heads", 0)));
        var dense = new DenseFeedForwardSpec { IntermediateSize = values.Int("intermediate_size", 0), Activation = Activation.ReluSquared, Gated = false };
        var model = ModelShapes.Model(values, NormKind.Rms, false, index => pattern[index] switch
        {
            'M' => new LayerSpec { Mixer = mamba, FeedForward = null },
            '*' => new LayerSpec { Mixer = attention, FeedForward = null },
            '-' => new LayerSpec { Mixer = new NoMixerSpec(), FeedForward = dense },
            'E' => new LayerSpec { Mixer = new NoMixerSpec(), FeedForward = Experts() },
            var other => throw new CheckpointException($"hybrid_override_pattern of {values.Name} has '{other}' at layer {index}; M, *, - or E was expected."),
        }, pattern.Length);
        return model;

        ExpertFeedForwardSpec Experts() => ExpertShapes.Experts(values, values.Required("moe_intermediate_size"), "n_routed_experts", "num_experts") with
        {
            SharedIntermediateSize = values.Int("moe_shared_expert_intermediate_size", 0) * Math.Max(1, values.Int("n_shared_experts", 1)),
            RouterBias = true,
            Gated = false,
            Activation = Activation.ReluSquared,
        };
    }

    public static ModelSpec Mamba2(ConfigValues values)
    {
        var hidden = values.Required("hidden_size", "d_model");
        var mixer = Mamba2Mixer(values, values.Int("num_heads", values.Int("expand", 2) * hidden / Math.Max(1, values.Int("head_dim", 64))));
        return ModelShapes.Model(values, NormKind.Rms, true, _ => new LayerSpec { Mixer = mixer, FeedForward = null });
    }

    public static ModelSpec Mamba(ConfigValues values)
    {
        var hidden = values.Required("hidden_size", "d_model");
        var mixer = new MambaSpec
        {
            Version = 1,
            InnerSize = values.Int("intermediate_size", values.Int("expand", 2) * hidden),
            StateSize = values.Int("state_size", 16),
            ConvolutionWidth = values.Int("conv_kernel", 4),
            TimeStepRank = values.Int("time_step_rank", (hidden + 15) / 16),
        };
        return ModelShapes.Model(values, NormKind.Rms, true, _ => new LayerSpec { Mixer = mixer, FeedForward = null });
    }

    /// <summary>LFM2: short convolutions, attention in the layers that <c>full_attn_idxs</c> or <c>layer_types</c> names.</summary>
    public static ModelSpec Lfm2(ConfigValues values)
    {
        var attention = ModelShapes.Attention(values) with { QkNorm = true };
        var convolution = new ShortConvolutionSpec { ConvolutionWidth = values.Int("conv_L_cache", 3) };
        var types = values.Texts("layer_types");
        var full = values.Ints("full_attn_idxs") ?? [];
        var width = values.Required("intermediate_size", "block_ff_dim");
        if (values.Flag("block_auto_adjust_ff_dim", false))
        {
            var step = Math.Max(1, values.Int("block_multiple_of", 256));
            width = (int)Math.Ceiling(2.0 * width / 3 * values.Number("block_ffn_dim_multiplier", 1) / step) * step;
        }
        return ModelShapes.Model(values, NormKind.Rms, true, index => new LayerSpec
        {
            Mixer = (types is not null && index < types.Length ? types[index] == "full_attention" : full.Contains(index)) ? attention : convolution,
            FeedForward = ModelShapes.Gated(width),
        });
    }

    /// <summary>Granite 4: Mamba-2 or attention, then experts beside a shared network.</summary>
    public static ModelSpec GraniteHybrid(ConfigValues values)
    {
        var attention = ModelShapes.Attention(values);
        var mamba = Mamba2Mixer(values, values.Int("mamba_n_heads", 0));
        var types = values.Texts("layer_types") ?? [];
        var shared = values.Int("shared_intermediate_size", values.Int("intermediate_size", 0));
        FeedForwardSpec feedForward = values.Int("num_local_experts", 0) > 0
            ? ExpertShapes.Experts(values, values.Required("intermediate_size"), "num_local_experts") with { SharedIntermediateSize = shared }
            : ModelShapes.Gated(shared);
        return ModelShapes.Model(values, NormKind.Rms, true, index => new LayerSpec
        {
            Mixer = index < types.Length && types[index] == "mamba" ? mamba : attention,
            FeedForward = feedForward,
        });
    }

    /// <summary>Llama 3.2 Vision: cross-attention to the image in the layers that <c>cross_attention_layers</c> names.</summary>
    public static ModelSpec CrossAttention(ConfigValues values)
    {
        var attention = ModelShapes.Attention(values);
        var cross = new CrossAttentionSpec { Heads = attention.Heads, KeyValueHeads = attention.KeyValueHeads, HeadSize = attention.HeadSize };
        var layers = values.Ints("cross_attention_layers") ?? [];
        return ModelShapes.Model(values, NormKind.Rms, false, index => new LayerSpec
        {
            Mixer = layers.Contains(index) ? cross : attention,
            FeedForward = ModelShapes.Gated(values.Required("intermediate_size")),
        });
    }

    private static MambaSpec Mamba2Mixer(ConfigValues values, int heads)
    {
        var size = values.Int("mamba_head_dim", values.Int("mamba_d_head", values.Int("head_dim", 64)));
        return new MambaSpec
        {
            Version = 2,
            Heads = heads,
            HeadSize = size,
            InnerSize = heads * size,
            StateSize = values.Int("ssm_state_size", values.Int("mamba_d_state", values.Int("state_size", 128))),
            Groups = values.Int("n_groups", values.Int("mamba_n_groups", 1)),
            ConvolutionWidth = values.Int("conv_kernel", values.Int("mamba_d_conv", 4)),
            StateElementBytes = ElementBytes(values.Text("mamba_ssm_cache_dtype") ?? values.Text("mamba_ssm_dtype")),
        };
    }

    private static int ElementBytes(string? dtype) => dtype is null or "float32" ? 4 : 2;
}
