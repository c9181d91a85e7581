namespace Kvasir.Checkpoints.Families;

/// <summary>Names of a dense model's tensors by role, without ".weight" and ".bias"; those of layers without the layer's prefix.</summary>
internal sealed record TensorNames
{
    public required string Embedding { get; init; }
    public required string FinalNorm { get; init; }
    public required string Output { get; init; }
    /// <summary>Prefix of a layer's tensors; {0} is its index.</summary>
    public required string Layer { get; init; }
    public required string MixerNorm { get; init; }
    public required string Query { get; init; }
    public required string Key { get; init; }
    public required string Value { get; init; }
    /// <summary>Query, key and value rows in one tensor.</summary>
    public required string FusedQkv { get; init; }
    public required string AttentionOutput { get; init; }
    public required string QueryNorm { get; init; }
    public required string KeyNorm { get; init; }
    public required string PostMixerNorm { get; init; }
    public required string FeedForwardNorm { get; init; }
    public required string Gate { get; init; }
    public required string Up { get; init; }
    /// <summary>Gate and up rows in one tensor. In GGUF it bears up's name and twice its rows.</summary>
    public required string FusedGateUp { get; init; }
    public required string Down { get; init; }
    public required string PostFeedForwardNorm { get; init; }

    /// <summary>GGUF's names, the same for every family.</summary>
    public static readonly TensorNames Gguf = new()
    {
        Embedding = "token_embd", FinalNorm = "output_norm", Output = "output", Layer = "blk.{0}.",
        MixerNorm = "attn_norm", Query = "attn_q", Key = "attn_k", Value = "attn_v", FusedQkv = "attn_qkv",
        AttentionOutput = "attn_output", QueryNorm = "attn_q_norm", KeyNorm = "attn_k_norm", PostMixerNorm = "post_attention_norm",
        FeedForwardNorm = "ffn_norm", Gate = "ffn_gate", Up = "ffn_up", FusedGateUp = "ffn_up", Down = "ffn_down",
        PostFeedForwardNorm = "post_ffw_norm",
    };

    /// <summary>Hugging Face's names of Llama and its relatives, under "model." or a multimodal model's prefix.</summary>
    public static readonly TensorNames HuggingFace = new()
    {
        Embedding = "embed_tokens", FinalNorm = "norm", Output = "lm_head", Layer = "layers.{0}.",
        MixerNorm = "input_layernorm", Query = "self_attn.q_proj", Key = "self_attn.k_proj", Value = "self_attn.v_proj", FusedQkv = "self_attn.qkv_proj",
        AttentionOutput = "self_attn.o_proj", QueryNorm = "self_attn.q_norm", KeyNorm = "self_attn.k_norm", PostMixerNorm = "",
        FeedForwardNorm = "post_attention_layernorm", Gate = "mlp.gate_proj", Up = "mlp.up_proj", FusedGateUp = "mlp.gate_up_proj", Down = "mlp.down_proj",
        PostFeedForwardNorm = "",
    };

    /// <summary>Hugging Face's names where both sublayers have a norm before and after (Gemma 2 and 3).</summary>
    public static readonly TensorNames HuggingFacePostNorms = HuggingFace with
    {
        PostMixerNorm = "post_attention_layernorm", FeedForwardNorm = "pre_feedforward_layernorm", PostFeedForwardNorm = "post_feedforward_layernorm",
    };
}
