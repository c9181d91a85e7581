using Kvasir.Checkpoints;
using Kvasir.DemoModel.Network;
using Kvasir.Synthesis;

namespace Kvasir.DemoModel.Export;

/// <summary>Writes the model as one GGUF file.</summary>
internal static class GgufExport
{
    private const int FileTypeF16 = 1;

    public static void Write(string path, IEnumerable<DemoTensor> tensors, VocabularyFiles vocabulary)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var output = new GgufWriter();
        output.Text("general.architecture", "llama").Text("general.type", "model").Text("general.name", "Kvasir Demo")
            .Text("general.size_label", "2.3M").Text("general.license", "apache-2.0")
            .Text("general.description", "Knows a little about GPU memory and inference; shows that an engine works.")
            .Texts("general.languages", ["en"]).Texts("general.tags", ["text-generation"])
            .UInt32("general.file_type", FileTypeF16).UInt32("general.quantization_version", 2)
            // The most likely token is the right one for arithmetic.
            .Float32("general.sampling.temp", 0);
        output.UInt32("llama.context_length", Shape.Context).UInt32("llama.embedding_length", Shape.Hidden)
            .UInt32("llama.block_count", Shape.Layers).UInt32("llama.feed_forward_length", Shape.FeedForward)
            .UInt32("llama.attention.head_count", Shape.Heads).UInt32("llama.attention.head_count_kv", Shape.KvHeads)
            .UInt32("llama.attention.key_length", Shape.HeadSize).UInt32("llama.attention.value_length", Shape.HeadSize)
            .Float32("llama.attention.layer_norm_rms_epsilon", Shape.Epsilon).UInt32("llama.vocab_size", Shape.Vocabulary)
            .UInt32("llama.rope.dimension_count", Shape.HeadSize).Float32("llama.rope.freq_base", Shape.RopeBase);
        vocabulary.Write(output);
        foreach (DemoTensor tensor in tensors)
            output.Tensor(tensor.Gguf, tensor.IsVector ? TensorType.F32 : TensorType.F16, tensor.Shape, tensor.WriteGguf);
        output.Write(path);
    }
}
