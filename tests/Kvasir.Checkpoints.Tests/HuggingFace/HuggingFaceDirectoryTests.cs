using System.Text.Json.Nodes;
using Kvasir.Synthesis;

namespace Kvasir.Checkpoints.Tests.HuggingFace;

public sealed class HuggingFaceDirectoryTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly SyntheticModel _model = SyntheticModel.Tiny(SyntheticFamily.Gemma3, TensorType.BF16);

    public HuggingFaceDirectoryTests() => SyntheticCheckpoint.WriteHuggingFace(_folder.Path, _model, shards: 3);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Shards_are_one_model()
    {
        using var checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal("safetensors", checkpoint.Format);
        Assert.Equal(3, checkpoint.AllTensors.Select(tensor => tensor.File).Distinct().Count());
        Assert.Equal(TensorType.BF16, checkpoint.Tensors.Layers[5].Down.Type);
    }

    [Fact]
    public void A_multimodal_model_opens_as_its_text_part()
    {
        var text = JsonNode.Parse(File.ReadAllText(_folder.File("config.json")))!.AsObject();
        // Published ones leave these to their class's defaults.
        foreach (var field in new[] { "num_attention_heads", "rms_norm_eps", "tie_word_embeddings" }) text.Remove(field);
        var config = new JsonObject { ["model_type"] = "gemma3", ["text_config"] = text, ["vision_config"] = new JsonObject { ["hidden_size"] = 7 }, ["eos_token_id"] = new JsonArray(1, 106) };
        File.WriteAllText(_folder.File("config.json"), config.ToJsonString());
        File.Delete(_folder.File("generation_config.json"));
        Rename(name => "language_model." + name);
        using var checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal(8, ((AttentionSpec)checkpoint.Spec.Layers[0].Mixer).Heads);
        Assert.Equal("language_model.model.embed_tokens.weight", checkpoint.Tensors.TokenEmbedding.Tensor.Name);
        Assert.Equal([257], checkpoint.Defaults.EndTokens);
        Assert.True(checkpoint.Spec.TiedEmbeddings);
    }

    [Theory]
    [InlineData("../model-00001-of-00003.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("..")]
    [InlineData("")]
    public void An_index_cannot_point_outside_its_directory(string file)
    {
        var index = JsonNode.Parse(File.ReadAllText(_folder.File("model.safetensors.index.json")))!;
        index["weight_map"]!["model.norm.weight"] = file;
        File.WriteAllText(_folder.File("model.safetensors.index.json"), index.ToJsonString());
        Assert.Contains("not the name of a file beside it", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_shard_is_named()
    {
        File.Delete(_folder.File("model-00002-of-00003.safetensors"));
        Assert.Contains("model-00002-of-00003.safetensors does not exist", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_template_file_comes_before_the_configurations_and_a_list_gives_its_default()
    {
        File.WriteAllText(_folder.File("tokenizer_config.json"), """{"chat_template":[{"name":"tool_use","template":"T"},{"name":"default","template":"D"}]}""");
        Assert.Equal("D", Template());
        File.WriteAllText(_folder.File("tokenizer_config.json"), """{"chat_template":[{"name":"rag","template":"R"}]}""");
        Assert.Equal("R", Template());
        File.WriteAllText(_folder.File("chat_template.jinja"), "J");
        Assert.Equal("J", Template());
    }

    [Fact]
    public void Generation_defaults_come_from_their_file()
    {
        File.WriteAllText(_folder.File("generation_config.json"), """{"eos_token_id":[1,107],"temperature":0.6,"top_k":20,"top_p":0.95,"do_sample":true,"repetition_penalty":1.1}""");
        using var checkpoint = Checkpoint.Open(_folder.Path);
        var defaults = checkpoint.Defaults;
        Assert.Equal([1, 107], defaults.EndTokens);
        Assert.Equal((0.6f, 20, 0.95f, true, 1.1f), (defaults.Temperature, defaults.TopK, defaults.TopP, defaults.Sample, defaults.RepetitionPenalty));
        Assert.Equal(256, defaults.BeginToken);
    }

    [Fact]
    public void A_single_weight_file_and_an_empty_directory_say_what_is_needed()
    {
        Assert.Contains("give its directory", Assert.Throws<CheckpointException>(() => Checkpoint.Open(_folder.File("model-00001-of-00003.safetensors"))).Message, StringComparison.Ordinal);
        using var empty = new TemporaryFolder();
        Assert.Contains("config.json does not exist", Assert.Throws<CheckpointException>(() => Checkpoint.Open(empty.Path)).Message, StringComparison.Ordinal);
    }

    private string Refusal() => Assert.Throws<CheckpointException>(() => Checkpoint.Open(_folder.Path).Dispose()).Message;

    private string? Template()
    {
        using var checkpoint = Checkpoint.Open(_folder.Path);
        return checkpoint.ChatTemplateSource;
    }

    /// <summary>Gives every tensor another name, in shards and index.</summary>
    private void Rename(Func<string, string> rename)
    {
        var index = JsonNode.Parse(File.ReadAllText(_folder.File("model.safetensors.index.json")))!;
        var map = index["weight_map"]!.AsObject();
        index["weight_map"] = new JsonObject(map.Select(entry => KeyValuePair.Create(rename(entry.Key), entry.Value?.DeepClone())));
        File.WriteAllText(_folder.File("model.safetensors.index.json"), index.ToJsonString());
        foreach (var path in Directory.GetFiles(_folder.Path, "*.safetensors"))
        {
            var bytes = File.ReadAllBytes(path);
            var length = (int)BitConverter.ToInt64(bytes);
            var header = JsonNode.Parse(bytes.AsSpan(8, length))!.AsObject();
            var renamed = new JsonObject(header.Select(entry => KeyValuePair.Create(entry.Key == "__metadata__" ? entry.Key : rename(entry.Key), entry.Value?.DeepClone())));
            var text = System.Text.Encoding.UTF8.GetBytes(renamed.ToJsonString());
            File.WriteAllBytes(path, [.. BitConverter.GetBytes((long)text.Length), .. text, .. bytes[(8 + length)..]]);
        }
    }
}
