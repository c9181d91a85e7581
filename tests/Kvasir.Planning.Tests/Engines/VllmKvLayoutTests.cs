using System.Text.Json;
using Kvasir.Checkpoints;
using Kvasir.Planning.Engines;

namespace Kvasir.Planning.Tests.Engines;

/// <summary>The examples of the reference (memory model, §3.1), worked out from vLLM's sources.</summary>
public sealed class VllmKvLayoutTests
{
    private const string GptOss = """
        {"model_type":"gpt_oss","hidden_size":2880,"num_hidden_layers":36,"num_attention_heads":64,"num_key_value_heads":8,"head_dim":64,"sliding_window":128,
         "num_local_experts":128,"num_experts_per_tok":4,"intermediate_size":2880,"vocab_size":201088,"max_position_embeddings":131072}
        """;

    private const string Gemma3 = """
        {"model_type":"gemma3_text","hidden_size":5376,"num_hidden_layers":62,"num_attention_heads":32,"num_key_value_heads":16,"head_dim":128,"sliding_window":1024,
         "intermediate_size":21504,"vocab_size":262208,"max_position_embeddings":131072}
        """;

    private const string QwenNext = """
        {"model_type":"qwen3_next","hidden_size":2048,"num_hidden_layers":48,"num_attention_heads":16,"num_key_value_heads":2,"head_dim":256,"full_attention_interval":4,
         "linear_num_key_heads":16,"linear_num_value_heads":32,"linear_key_head_dim":128,"linear_value_head_dim":128,"linear_conv_kernel_dim":4,
         "num_experts":512,"num_experts_per_tok":10,"moe_intermediate_size":512,"shared_expert_intermediate_size":512,"vocab_size":151936,"max_position_embeddings":262144}
        """;

    [Theory]
    [InlineData(GptOss, 131072, 4.786)]
    [InlineData(GptOss, 8192, 0.563)]
    [InlineData(Gemma3, 32768, 6.73)]
    [InlineData(Gemma3, 131072, 14.23)]
    public void A_request_takes_blocks_in_every_group_of_layers(string config, long tokens, double gib)
    {
        // The examples hold one batch of 8192 tokens in flight.
        var layout = Layout(config, "0.11");
        Assert.Equal(gib, layout.RequestBytes(tokens) / 1073741824.0, 0.01);
    }

    [Fact]
    public void Attention_blocks_grow_until_they_hold_a_state() =>
        Assert.Equal(1056, Assert.IsType<VllmKvLayout>(Layout(QwenNext, "0.11")).Groups[0].BlockTokens);

    [Fact]
    public void Padding_layers_are_reported() => Assert.Equal(8 / 70.0, Assert.IsType<VllmKvLayout>(Layout(Gemma3, "0.11")).PaddingShare, 0.001);

    private static KvLayout Layout(string config, string version) => new VllmRules().Estimate(
        ModelSpecReader.FromConfig(JsonDocument.Parse(config).RootElement), new Device("H100", 79L << 30),
        new ServingOptions { Version = version, MaxBatchedTokens = 8192 }).Layout;
}
