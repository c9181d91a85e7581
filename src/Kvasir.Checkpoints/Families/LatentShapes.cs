namespace Kvasir.Checkpoints.Families;

/// <summary>Multi-head latent attention over experts: DeepSeek V2, V3, V3.2 and Kimi K2.</summary>
internal static class LatentShapes
{
    public static ModelSpec DeepSeek(ConfigValues values)
    {
        var attention = new LatentAttentionSpec
        {
            Heads = values.Required("num_attention_heads"),
            KeyValueRank = values.Required("kv_lora_rank"),
            QueryRank = values.IntOrNull("q_lora_rank"),
            RopeHeadSize = values.Required("qk_rope_head_dim"),
            NopeHeadSize = values.Required("qk_nope_head_dim"),
            ValueHeadSize = values.Required("v_head_dim"),
            IndexerHeadSize = values.IntOrNull("index_head_dim"),
            IndexerHeads = values.Int("index_n_heads", 0),
        };
        var width = values.Int("moe_intermediate_size", 0);
        var experts = values.Has("n_routed_experts") || values.Has("num_experts")
            ? ExpertShapes.Experts(values, width, "n_routed_experts", "num_experts") with
            {
                SharedIntermediateSize = width * values.Int("n_shared_experts", values.Int("num_shared_experts", 0)),
                RouterBias = values.Text("topk_method") == "noaux_tc" || values.Text("model_type") is "deepseek_v3" or "deepseek_v32" or "kimi_k2" or "kimi_k25",
            }
            : null;
        var dense = values.Int("first_k_dense_replace", 0);
        return ModelShapes.Model(values, NormKind.Rms, false, index => new LayerSpec
        {
            Mixer = attention,
            FeedForward = index < dense || experts is null ? ModelShapes.Gated(values.Required("intermediate_size")) : experts,
        });
    }
}
