using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Kvasir.Checkpoints;
using Kvasir.DemoModel.Network;
using Kvasir.DemoModel.Training;
using Kvasir.Synthesis;

namespace Kvasir.DemoModel.Export;

/// <summary>Writes the model as a Hugging Face directory.</summary>
internal static class HuggingFaceExport
{
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, IndentSize = 1, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(string directory, IEnumerable<DemoTensor> tensors, VocabularyFiles vocabulary)
    {
        Directory.CreateDirectory(directory);
        var weights = new SafetensorsWriter();
        foreach (DemoTensor tensor in tensors)
            weights.Tensor(tensor.HuggingFace, TensorType.F16, tensor.Shape, tensor.WriteHuggingFace);
        weights.Write(Path.Combine(directory, "model.safetensors"));
        Json(directory, "config.json", Configuration(vocabulary));
        Json(directory, "generation_config.json", new()
        {
            ["bos_token_id"] = vocabulary.EndOfText,
            ["do_sample"] = false,
            ["eos_token_id"] = new JsonArray(vocabulary.MessageEnd, vocabulary.EndOfText),
            ["pad_token_id"] = vocabulary.EndOfText,
        });
        Json(directory, "tokenizer.json", vocabulary.ToJson());
        Json(directory, "tokenizer_config.json", vocabulary.Configuration());
        File.WriteAllText(Path.Combine(directory, "chat_template.jinja"), ChatText.Template);
    }

    private static JsonObject Configuration(VocabularyFiles vocabulary) => new()
    {
        ["architectures"] = new JsonArray("LlamaForCausalLM"),
        ["model_type"] = "llama",
        ["vocab_size"] = Shape.Vocabulary,
        ["hidden_size"] = Shape.Hidden,
        ["intermediate_size"] = Shape.FeedForward,
        ["num_hidden_layers"] = Shape.Layers,
        ["num_attention_heads"] = Shape.Heads,
        ["num_key_value_heads"] = Shape.KvHeads,
        ["head_dim"] = Shape.HeadSize,
        ["max_position_embeddings"] = Shape.Context,
        ["rms_norm_eps"] = Shape.Epsilon,
        ["rope_theta"] = Shape.RopeBase,
        ["hidden_act"] = "silu",
        ["attention_bias"] = false,
        ["mlp_bias"] = false,
        ["tie_word_embeddings"] = true,
        ["bos_token_id"] = vocabulary.EndOfText,
        ["eos_token_id"] = vocabulary.MessageEnd,
        ["pad_token_id"] = vocabulary.EndOfText,
        ["torch_dtype"] = "float16",
    };

    private static void Json(string directory, string name, JsonObject content) =>
        File.WriteAllText(Path.Combine(directory, name), content.ToJsonString(Readable) + "\n");
}
