using Kvasir.Checkpoints.Gguf;
using Kvasir.Synthesis;

namespace Kvasir.Checkpoints.Tests.Families;

public sealed class GgufShapesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void A_mixture_of_experts_is_read_from_metadata()
    {
        var spec = Read(Common("qwen3moe", hidden: 2048, layers: 48, heads: 32)
            .UInt32("qwen3moe.attention.head_count_kv", 4).UInt32("qwen3moe.attention.key_length", 128).UInt32("qwen3moe.expert_count", 128)
            .UInt32("qwen3moe.expert_used_count", 8).UInt32("qwen3moe.expert_feed_forward_length", 768).UInt32("qwen3moe.feed_forward_length", 6144));
        var experts = Assert.IsType<ExpertFeedForwardSpec>(spec.Layers[0].FeedForward);
        Assert.Equal((48, 128, 8, 768), (spec.Layers.Length, experts.Experts, experts.ExpertsPerToken, experts.ExpertIntermediateSize));
        Assert.True(Assert.IsType<AttentionSpec>(spec.Layers[0].Mixer).QkNorm);
    }

    [Fact]
    public void Latent_attention_is_read_from_metadata()
    {
        var spec = Read(Common("deepseek2", hidden: 7168, layers: 61, heads: 128)
            .UInt32("deepseek2.attention.kv_lora_rank", 512).UInt32("deepseek2.attention.q_lora_rank", 1536).UInt32("deepseek2.rope.dimension_count", 64)
            .UInt32("deepseek2.attention.key_length", 576).UInt32("deepseek2.attention.value_length", 512).UInt32("deepseek2.attention.head_count_kv", 1)
            .UInt32("deepseek2.attention.key_length_mla", 192).UInt32("deepseek2.attention.value_length_mla", 128).UInt32("deepseek2.expert_count", 256)
            .UInt32("deepseek2.expert_used_count", 8).UInt32("deepseek2.expert_shared_count", 1).UInt32("deepseek2.expert_feed_forward_length", 2048)
            .UInt32("deepseek2.leading_dense_block_count", 3).UInt32("deepseek2.feed_forward_length", 18432).UInt32("deepseek2.expert_gating_func", 2));
        var latent = Assert.IsType<LatentAttentionSpec>(spec.Layers[0].Mixer);
        Assert.Equal((512, 1536, 64, 128, 128), (latent.KeyValueRank, latent.QueryRank!.Value, latent.RopeHeadSize, latent.NopeHeadSize, latent.ValueHeadSize));
        Assert.IsType<DenseFeedForwardSpec>(spec.Layers[2].FeedForward);
        Assert.True(Assert.IsType<ExpertFeedForwardSpec>(spec.Layers[3].FeedForward).RouterBias);
    }

    [Fact]
    public void A_llama_with_experts_is_a_Mixtral()
    {
        var spec = Read(Common("llama", hidden: 4096, layers: 32, heads: 32)
            .UInt32("llama.attention.head_count_kv", 8).UInt32("llama.feed_forward_length", 14336).UInt32("llama.expert_count", 8).UInt32("llama.expert_used_count", 2));
        Assert.Equal(8, Assert.IsType<ExpertFeedForwardSpec>(spec.Layers[31].FeedForward).Experts);
    }

    [Fact]
    public void A_header_says_of_every_tensor_what_the_whole_file_says()
    {
        var path = Path.Combine(_folder.Path, "model.gguf");
        SyntheticCheckpoint.Write(path, SyntheticFamily.Llama, TensorType.Q4_K);
        using var full = GgufFile.Open(path);
        using var header = GgufHeader.Open(path);
        Assert.Equal(full.Tensors.Select(tensor => (tensor.Name, (int)tensor.Type, tensor.Rows, tensor.Columns)), header.Tensors.Select(tensor => (tensor.Name, tensor.Type, tensor.Rows, tensor.Columns)));
    }

    [Fact]
    public void A_file_that_is_no_GGUF_is_refused()
    {
        var path = Path.Combine(_folder.Path, "model.gguf");
        File.WriteAllBytes(path, new byte[64]);
        Assert.Throws<CheckpointException>(() => GgufHeader.Open(path));
    }

    public void Dispose() => _folder.Dispose();

    private static GgufWriter Common(string architecture, int hidden, int layers, int heads) => new GgufWriter()
        .Text("general.architecture", architecture).Text("general.name", "test")
        .UInt32($"{architecture}.embedding_length", hidden).UInt32($"{architecture}.block_count", layers).UInt32($"{architecture}.attention.head_count", heads)
        .UInt32($"{architecture}.context_length", 32768).UInt32($"{architecture}.vocab_size", 151936).Float32($"{architecture}.attention.layer_norm_rms_epsilon", 1e-6);

    private ModelSpec Read(GgufWriter writer)
    {
        var path = Path.Combine(_folder.Path, "model.gguf");
        writer.Write(path);
        using var header = GgufHeader.Open(path);
        return ModelSpecReader.FromGguf(header.Metadata);
    }
}
