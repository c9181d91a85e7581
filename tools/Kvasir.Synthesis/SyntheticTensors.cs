using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>Lists the tensors of a random model.</summary>
internal sealed class SyntheticTensors(SyntheticModel model)
{
    private readonly List<SyntheticTensor> _list = [];

    public static IReadOnlyList<SyntheticTensor> Of(SyntheticModel model)
    {
        var tensors = new SyntheticTensors(model);
        tensors.Matrix("token_embd", "model.embed_tokens", model.Vocabulary, model.Hidden);
        for (var i = 0; i < model.Layers; i++) tensors.Layer(i);
        tensors.Vector("output_norm.weight", "model.norm.weight", SyntheticValues.Norm, model.Hidden);
        if (!model.IsTied) tensors.Matrix("output", "lm_head", model.Vocabulary, model.Hidden);
        return tensors._list;
    }

    private void Layer(int index)
    {
        string gguf = $"blk.{index}.", hf = $"model.layers.{index}.";
        int queries = model.Heads * model.EffectiveHeadSize, keys = model.KeyValueHeads * model.EffectiveHeadSize;
        void Norm(string ggufName, string hfName, int size) => Vector($"{gguf}{ggufName}.weight", $"{hf}{hfName}.weight", SyntheticValues.Norm, size);

        Norm("attn_norm", "input_layernorm", model.Hidden);
        if (model.Family == SyntheticFamily.Phi3)
        {
            Matrix(gguf + "attn_qkv", hf + "self_attn.qkv_proj", queries + 2 * keys, model.Hidden, index);
        }
        else
        {
            Projection(gguf + "attn_q", hf + "self_attn.q_proj", queries, index, rotated: true);
            Projection(gguf + "attn_k", hf + "self_attn.k_proj", keys, index, rotated: true);
            Projection(gguf + "attn_v", hf + "self_attn.v_proj", keys, index, rotated: false);
        }
        Matrix(gguf + "attn_output", hf + "self_attn.o_proj", model.Hidden, queries, index);
        if (model.QkNorm)
        {
            Norm("attn_q_norm", "self_attn.q_norm", model.EffectiveHeadSize);
            Norm("attn_k_norm", "self_attn.k_norm", model.EffectiveHeadSize);
        }
        if (model.PostNorms) Norm("post_attention_norm", "post_attention_layernorm", model.Hidden);
        Norm("ffn_norm", model.PostNorms ? "pre_feedforward_layernorm" : "post_attention_layernorm", model.Hidden);
        if (model.Family == SyntheticFamily.Phi3)
        {
            Matrix(gguf + "ffn_up", hf + "mlp.gate_up_proj", 2 * model.FeedForward, model.Hidden, index);
        }
        else
        {
            Matrix(gguf + "ffn_gate", hf + "mlp.gate_proj", model.FeedForward, model.Hidden, index);
            Matrix(gguf + "ffn_up", hf + "mlp.up_proj", model.FeedForward, model.Hidden, index);
        }
        Matrix(gguf + "ffn_down", hf + "mlp.down_proj", model.Hidden, model.FeedForward, index);
        if (model.PostNorms) Norm("post_ffw_norm", "post_feedforward_layernorm", model.Hidden);
    }

    private void Projection(string gguf, string hf, int rows, int layer, bool rotated)
    {
        var adjacent = rotated && model.Family is SyntheticFamily.Llama or SyntheticFamily.Mistral or SyntheticFamily.SmolLm3;
        var headSize = rotated && adjacent ? model.EffectiveHeadSize : 0;
        Matrix(gguf, hf, rows, model.Hidden, layer, headSize);
        if (model.Family == SyntheticFamily.Qwen2) Vector(gguf + ".bias", hf + ".bias", SyntheticValues.Bias, rows);
    }

    private void Vector(string gguf, string hf, SyntheticValues values, int size) =>
        _list.Add(new SyntheticTensor(gguf, hf, values, 1, size, TensorType.F32));

    private void Matrix(string gguf, string hf, int rows, int columns, int layer = -1, int rotatedHeadSize = 0) =>
        _list.Add(new SyntheticTensor(gguf + ".weight", hf + ".weight", SyntheticValues.Matrix, rows, columns, TypeOf(gguf, columns, layer), rotatedHeadSize));

    /// <summary>The type that a mixture gives a matrix; Q8_0 or F16 where rows are not whole blocks, as quantizers do.</summary>
    private TensorType TypeOf(string gguf, int columns, int layer)
    {
        var type = model.Type;
        if (model.Mixture == SyntheticMixture.Medium && WantsMore(gguf, layer)) type = TensorType.Q6_K;
        if (columns % type.BlockLength() == 0) return type;
        return columns % 32 == 0 ? TensorType.Q8_0 : TensorType.F16;
    }

    private bool WantsMore(string gguf, int layer)
    {
        if (gguf == "output" || (gguf == "token_embd" && model.IsTied)) return true;
        var eighth = model.Layers / 8;
        return (gguf.EndsWith("attn_v", StringComparison.Ordinal) || gguf.EndsWith("ffn_down", StringComparison.Ordinal))
            && (layer < eighth || layer >= 7 * model.Layers / 8 || (layer - eighth) % 3 == 2);
    }
}
