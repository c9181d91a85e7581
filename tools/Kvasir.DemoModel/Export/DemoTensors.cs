using Kvasir.DemoModel.Network;

namespace Kvasir.DemoModel.Export;

/// <summary>Takes a snapshot's fused matrices apart.</summary>
internal static class DemoTensors
{
    public static List<DemoTensor> Of(Dictionary<string, float[]> snapshot)
    {
        var tensors = new List<DemoTensor> { Matrix("token_embd", "model.embed_tokens", snapshot["embedding"], 0, Shape.Vocabulary, Shape.Hidden) };
        for (int layer = 0; layer < Shape.Layers; layer++)
            AddLayer(tensors, snapshot, layer);
        tensors.Add(Vector("output_norm", "model.norm", snapshot["norm"]));
        return tensors;
    }

    private static void AddLayer(List<DemoTensor> tensors, Dictionary<string, float[]> snapshot, int layer)
    {
        string gguf = $"blk.{layer}.", huggingFace = $"model.layers.{layer}.";
        float[] queryKeyValue = snapshot[$"{layer}.query_key_value"], gateUp = snapshot[$"{layer}.gate_up"];
        tensors.Add(Vector(gguf + "attn_norm", huggingFace + "input_layernorm", snapshot[$"{layer}.attention_norm"]));
        tensors.Add(Matrix(gguf + "attn_q", huggingFace + "self_attn.q_proj", queryKeyValue, 0, Shape.QueryWidth, Shape.Hidden, Shape.HeadSize));
        tensors.Add(Matrix(gguf + "attn_k", huggingFace + "self_attn.k_proj", queryKeyValue, Shape.QueryWidth, Shape.KvWidth, Shape.Hidden, Shape.HeadSize));
        tensors.Add(Matrix(gguf + "attn_v", huggingFace + "self_attn.v_proj", queryKeyValue, Shape.QueryWidth + Shape.KvWidth, Shape.KvWidth, Shape.Hidden));
        tensors.Add(Matrix(gguf + "attn_output", huggingFace + "self_attn.o_proj", snapshot[$"{layer}.output"], 0, Shape.Hidden, Shape.QueryWidth));
        tensors.Add(Vector(gguf + "ffn_norm", huggingFace + "post_attention_layernorm", snapshot[$"{layer}.feed_forward_norm"]));
        tensors.Add(Matrix(gguf + "ffn_gate", huggingFace + "mlp.gate_proj", gateUp, 0, Shape.FeedForward, Shape.Hidden));
        tensors.Add(Matrix(gguf + "ffn_up", huggingFace + "mlp.up_proj", gateUp, Shape.FeedForward, Shape.FeedForward, Shape.Hidden));
        tensors.Add(Matrix(gguf + "ffn_down", huggingFace + "mlp.down_proj", snapshot[$"{layer}.down"], 0, Shape.Hidden, Shape.FeedForward));
    }

    private static DemoTensor Matrix(string gguf, string huggingFace, float[] values, int firstRow, int rows, int columns, int headSize = 0) =>
        new(gguf + ".weight", huggingFace + ".weight", [rows, columns], Round(values.AsSpan(firstRow * columns, rows * columns)), headSize);

    private static DemoTensor Vector(string gguf, string huggingFace, float[] values) =>
        new(gguf + ".weight", huggingFace + ".weight", [values.Length], Round(values));

    private static Half[] Round(ReadOnlySpan<float> values) => Array.ConvertAll(values.ToArray(), value => (Half)value);
}
