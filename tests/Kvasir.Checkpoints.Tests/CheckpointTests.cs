using Kvasir.Synthesis;

namespace Kvasir.Checkpoints.Tests;

public sealed class CheckpointTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Fused_projections_appear_as_their_parts()
    {
        SyntheticCheckpoint.Write(_folder.File("phi.gguf"), SyntheticFamily.Phi3);
        using var checkpoint = Checkpoint.Open(_folder.File("phi.gguf"));
        var layer = checkpoint.Tensors.Layers[1];
        Assert.Equal("blk.1.attn_qkv.weight", layer.Query.Tensor.Name);
        Assert.Equal(((0L, 256L), (256L, 128L), (384L, 128L)), ((layer.Query.FirstRow, layer.Query.Rows), (layer.Key.FirstRow, layer.Key.Rows), (layer.Value.FirstRow, layer.Value.Rows)));
        Assert.Equal(((0L, 512L), (512L, 512L)), ((layer.Gate!.Value.FirstRow, layer.Gate.Value.Rows), (layer.Up.FirstRow, layer.Up.Rows)));
        Assert.True(checkpoint.Bytes(layer.Key, 0, 1).SequenceEqual(checkpoint.Bytes(new TensorView(layer.Key.Tensor), 256, 1)));
    }

    [Fact]
    public void Rows_beyond_a_view_are_refused()
    {
        SyntheticCheckpoint.Write(_folder.File("phi.gguf"), SyntheticFamily.Phi3);
        using var checkpoint = Checkpoint.Open(_folder.File("phi.gguf"));
        var key = checkpoint.Tensors.Layers[0].Key;
        Assert.Throws<ArgumentOutOfRangeException>(() => checkpoint.Bytes(key, key.Rows, 1).Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Files_that_were_written_to_are_noticed(bool isShortened)
    {
        var path = _folder.File("m.gguf");
        SyntheticCheckpoint.Write(path, SyntheticFamily.Llama);
        using var checkpoint = Checkpoint.Open(path);
        checkpoint.RequireUnchanged();
        using (var file = new FileStream(path, FileMode.Open))
            if (isShortened) file.SetLength(file.Length - 1);
        if (!isShortened) File.SetLastWriteTimeUtc(path, new DateTime(2001, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        Assert.Contains(path, Assert.Throws<CheckpointException>(checkpoint.RequireUnchanged).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_that_were_deleted_can_still_be_read()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Open files cannot be deleted there.");
        SyntheticCheckpoint.Write(_folder.File("m.gguf"), SyntheticFamily.Llama);
        using var checkpoint = Checkpoint.Open(_folder.File("m.gguf"));
        var view = checkpoint.Tensors.TokenEmbedding;
        var before = checkpoint.Bytes(view, 0, (int)view.Rows).ToArray();
        File.Delete(_folder.File("m.gguf"));
        checkpoint.Release(view);
        checkpoint.RequireUnchanged();
        Assert.True(checkpoint.Bytes(view, 0, (int)view.Rows).SequenceEqual(before));
    }

    [Fact]
    public void Released_pages_come_back_from_the_file()
    {
        SyntheticCheckpoint.Write(_folder.File("m.gguf"), SyntheticFamily.Llama);
        using var checkpoint = Checkpoint.Open(_folder.File("m.gguf"));
        var view = checkpoint.Tensors.TokenEmbedding;
        var before = checkpoint.Bytes(view, 0, (int)view.Rows).ToArray();
        checkpoint.Release(view);
        Assert.True(checkpoint.Bytes(view, 0, (int)view.Rows).SequenceEqual(before));
    }

    [Fact]
    public void The_digest_names_the_model()
    {
        SyntheticCheckpoint.Write(_folder.File("a.gguf"), SyntheticFamily.Llama);
        File.Copy(_folder.File("a.gguf"), _folder.File("b.gguf"));
        SyntheticCheckpoint.Write(_folder.File("c.gguf"), SyntheticModel.Tiny(SyntheticFamily.Llama) with { Theta = 20000 });
        var digests = new[] { "a.gguf", "b.gguf", "c.gguf" }.Select(name =>
        {
            using var checkpoint = Checkpoint.Open(_folder.File(name));
            return checkpoint.Digest;
        }).ToArray();
        Assert.Equal(32, digests[0].Length);
        Assert.Equal(digests[0], digests[1]);
        Assert.NotEqual(digests[0], digests[2]);
    }

    [Theory]
    [InlineData("m.gguf")]
    [InlineData("m")]
    public void Either_format_gives_tokenizer_template_and_defaults(string name)
    {
        SyntheticCheckpoint.Write(_folder.File(name), SyntheticFamily.Qwen3);
        using var checkpoint = Checkpoint.Open(_folder.File(name));
        Assert.Equal([257], checkpoint.Defaults.EndTokens);
        Assert.Equal(256, checkpoint.Defaults.BeginToken);
        Assert.Contains("add_generation_prompt", checkpoint.ChatTemplateSource, StringComparison.Ordinal);
        var ids = checkpoint.Tokenizer.Encode("the end: żółw", addSpecial: true, parseSpecial: false);
        Assert.Equal(256, ids[0]);
        Assert.Equal("the end: żółw", checkpoint.Tokenizer.Decode(ids.ToArray()));
    }

    [Fact]
    public void Same_values_give_the_same_bytes()
    {
        SyntheticCheckpoint.Write(_folder.File("a.gguf"), SyntheticFamily.Gemma2, TensorType.Q4_K);
        SyntheticCheckpoint.Write(_folder.File("b.gguf"), SyntheticFamily.Gemma2, TensorType.Q4_K);
        Assert.Equal(File.ReadAllBytes(_folder.File("a.gguf")), File.ReadAllBytes(_folder.File("b.gguf")));
    }

    [Fact]
    public void A_missing_tensor_is_named()
    {
        new GgufWriter().Text("general.architecture", "llama").UInt32("llama.context_length", 64).UInt32("llama.embedding_length", 8).UInt32("llama.block_count", 1)
            .UInt32("llama.feed_forward_length", 8).UInt32("llama.attention.head_count", 2).Float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
            .Tensor("token_embd.weight", [4, 8], new float[32]).Tensor("output_norm.weight", [8], new float[8]).Write(_folder.File("m.gguf"));
        var error = Assert.Throws<CheckpointException>(() => Checkpoint.Open(_folder.File("m.gguf")));
        Assert.Contains("blk.0.attn_", error.Message, StringComparison.Ordinal);
        Assert.Contains("is missing", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_of_another_shape_is_refused_with_both_shapes()
    {
        SyntheticCheckpoint.WriteHuggingFace(_folder.File("m"), SyntheticModel.Tiny(SyntheticFamily.Llama));
        var config = File.ReadAllText(_folder.File("m/config.json")).Replace("\"vocab_size\":384", "\"vocab_size\":385", StringComparison.Ordinal);
        File.WriteAllText(_folder.File("m/config.json"), config);
        var error = Assert.Throws<CheckpointException>(() => Checkpoint.Open(_folder.File("m")));
        Assert.Contains("[384, 256]; [385, 256] was expected", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_architecture_is_named_and_the_known_ones_listed()
    {
        new GgufWriter().Text("general.architecture", "wavenet").Tensor("w", [1], [1f]).Write(_folder.File("m.gguf"));
        var error = Assert.Throws<CheckpointException>(() => Checkpoint.Open(_folder.File("m.gguf")));
        Assert.Contains("\"wavenet\" is not known", error.Message, StringComparison.Ordinal);
        Assert.Contains("gemma3, ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_vocabulary_alone_says_so()
    {
        new GgufWriter().Text("general.architecture", "llama").Write(_folder.File("v.gguf"));
        Assert.Contains("tokenize only", Assert.Throws<CheckpointException>(() => Checkpoint.Open(_folder.File("v.gguf"))).Message, StringComparison.Ordinal);
    }
}
