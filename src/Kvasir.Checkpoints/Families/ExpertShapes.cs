namespace Kvasir.Checkpoints.Families;

/// <summary>Mixtures of experts over ordinary attention.</summary>
internal static class ExpertShapes
{
    public static ModelSpec Mixtral(ConfigValues values)
    {
        var attention = ModelShapes.Attention(values);
        return ModelShapes.Model(values, NormKind.Rms, false, _ => new LayerSpec
        {
            Mixer = attention,
            FeedForward = Experts(values, values.Int("moe_intermediate_size", values.Int("intermediate_size", 0)), "num_local_experts", "num_experts"),
        });
    }

    public static ModelSpec QwenMoe(ConfigValues values)
    {
        var second = values.Text("model_type") == "qwen2_moe";
        var attention = ModelShapes.Attention(values) with { QkNorm = !second, QkvBias = second };
        var dense = values.Ints("mlp_only_layers") ?? [];
        var step = Math.Max(1, values.Int("decoder_sparse_step", 1));
        var experts = Experts(values, values.Required("moe_intermediate_size"), "num_experts", "num_local_experts") with
        {
            SharedIntermediateSize = values.Int("shared_expert_intermediate_size", 0),
            SharedGate = values.Int("shared_expert_intermediate_size", 0) > 0,
        };
        return ModelShapes.Model(values, NormKind.Rms, false, index => new LayerSpec
        {
            Mixer = attention,
            FeedForward = dense.Contains(index) || (index + 1) % step != 0 ? ModelShapes.Gated(values.Required("intermediate_size")) : experts,
        });
    }

    public static ModelSpec MiniMax(ConfigValues values)
    {
        var attention = ModelShapes.Attention(values) with { QkNorm = true, QkNormOverAllHeads = true };
        return ModelShapes.Model(values, NormKind.Rms, false, _ => new LayerSpec
        {
            Mixer = attention,
            FeedForward = Experts(values, values.Int("moe_intermediate_size", values.Int("intermediate_size", 0)), "num_local_experts", "num_experts") with { RouterBias = true },
        });
    }

    public static ModelSpec GptOss(ConfigValues values)
    {
        var window = values.Int("sliding_window", 128);
        var attention = ModelShapes.Attention(values) with { QkvBias = true, OutputBias = true, Sinks = true };
        return ModelShapes.Model(values, NormKind.Rms, false, index => new LayerSpec
        {
            Mixer = attention with { SlidingWindow = DenseShapes.Windowed(values, index, index % 2 == 0) ? window : null },
            FeedForward = Experts(values, values.Int("moe_intermediate_size", values.Int("intermediate_size", 0)), "num_local_experts", "num_experts") with { Bias = true },
        });
    }

    public static ModelSpec Llama4(ConfigValues values)
    {
        var attention = ModelShapes.Attention(values);
        var chunk = values.Int("attention_chunk_size", 8192);
        var every = Math.Max(1, values.Int("no_rope_layer_interval", 4));
        var step = Math.Max(1, values.Int("interleave_moe_layer_step", 1));
        var inner = values.Int("intermediate_size", values.Int("moe_intermediate_size", 0));
        var experts = Experts(values, values.Int("moe_intermediate_size", inner), "num_local_experts", "num_experts") with { SharedIntermediateSize = inner };
        return ModelShapes.Model(values, NormKind.Rms, false, index => new LayerSpec
        {
            Mixer = attention with { ChunkSize = (index + 1) % every == 0 ? null : chunk },
            FeedForward = (index + 1) % step == 0 ? experts : ModelShapes.Gated(values.Int("intermediate_size_mlp", 2 * inner)),
        });
    }

    /// <summary>Gemma 4: sliding and global layers of different head sizes; the large ones mix experts beside a dense network.</summary>
    public static ModelSpec Gemma4(ConfigValues values)
    {
        var sliding = ModelShapes.Attention(values) with { QkNorm = true };
        var globalSize = values.Int("global_head_dim", sliding.HeadSize);
        var global = sliding with
        {
            HeadSize = globalSize,
            ValueHeadSize = globalSize,
            KeyValueHeads = values.Int("num_global_key_value_heads", sliding.KeyValueHeads),
            KeysAreValues = values.Flag("attention_k_eq_v", false),
        };
        var window = values.Int("sliding_window", 1024);
        var layers = values.Required("num_hidden_layers");
        var shared = values.Int("num_kv_shared_layers", 0);
        return ModelShapes.Model(values, NormKind.Rms, true, index => Layer(index));

        LayerSpec Layer(int index)
        {
            var isSliding = DenseShapes.Windowed(values, index, (index + 1) % 6 != 0);
            var attention = isSliding ? sliding with { SlidingWindow = window } : global;
            if (index >= layers - shared && layers > shared) attention = attention with { SharesKeyValuesOfLayer = layers - shared - 1 };
            return new LayerSpec
            {
                Mixer = attention,
                FeedForward = values.Flag("enable_moe_block", false)
                    ? Experts(values, values.Required("moe_intermediate_size", "expert_intermediate_size"), "num_experts") with { SharedIntermediateSize = values.Required("intermediate_size"), Activation = Activation.GeluTanh }
                    : ModelShapes.Gated(values.Required("intermediate_size"), Activation.GeluTanh),
                PostMixerNorm = true,
                PostFeedForwardNorm = true,
            };
        }
    }

    internal static ExpertFeedForwardSpec Experts(ConfigValues values, int width, params string[] countKeys) => new()
    {
        Experts = values.Required(countKeys),
        ExpertsPerToken = values.Int("num_experts_per_tok", values.Int("experts_per_token", 1)),
        ExpertIntermediateSize = width,
        Activation = Activation.Silu,
    };
}
