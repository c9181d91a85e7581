using System.Text.Json;
using Kvasir.Checkpoints.Gguf;
using Kvasir.Synthesis;

namespace Kvasir.Checkpoints.Tests.Families;

public sealed class ModelSpecReaderTests
{
    private const string Llama =
        """ "model_type":"llama","vocab_size":128256,"hidden_size":2048,"intermediate_size":8192,"num_hidden_layers":16,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":64,"max_position_embeddings":131072,"rms_norm_eps":1e-5,"rope_theta":500000.0,"tie_word_embeddings":true """;

    [Fact]
    public void Llama_3_2_1B_is_what_its_card_says()
    {
        var spec = Read($$"""{ {{Llama}}, "rope_scaling":{"factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":8192,"rope_type":"llama3"} }""");
        Assert.Equal((16, 2048, 131072, true), (spec.Layers.Length, spec.HiddenSize, spec.ContextLength, spec.TiedEmbeddings));
        // 1,235,814,400 by the model's own card and file.
        Assert.Equal(1_235_814_400, spec.ParameterCount);
        var rope = Attention(spec, 0).Rope!;
        Assert.Equal(1f, rope.Frequencies[0]);
        // The slowest pair turns less than once in 8192 positions, and is divided by 32.
        Assert.Equal(Math.Pow(500000, -62.0 / 64) / 32, rope.Frequencies[31], 1e-12);
    }

    [Fact]
    public void Rope_parameters_say_the_same_as_rope_scaling()
    {
        var old = Read($$"""{ {{Llama}}, "rope_scaling":{"factor":4.0,"type":"linear"} }""");
        var modern = Read($$"""{ {{Llama.Replace("\"rope_theta\":500000.0,", "", StringComparison.Ordinal)}}, "rope_parameters":{"factor":4.0,"rope_type":"linear","rope_theta":500000.0} }""");
        Assert.Equal(Attention(old, 0).Rope!.Frequencies.AsSpan(), Attention(modern, 0).Rope!.Frequencies.AsSpan());
        Assert.Equal(0.25f, Attention(old, 0).Rope!.Frequencies[0]);
    }

    [Fact]
    public void Dynamic_scaling_is_plain_within_the_trained_context()
    {
        var spec = Read($$"""{ {{Llama}}, "rope_scaling":{"factor":2.0,"type":"dynamic"} }""");
        Assert.Equal(Attention(Read($$"""{ {{Llama}} }"""), 0).Rope!.Frequencies.AsSpan(), Attention(spec, 0).Rope!.Frequencies.AsSpan());
        Assert.Equal(131072, spec.ContextLength);
    }

    [Fact]
    public void Yarn_keeps_fast_pairs_divides_slow_ones_and_grows_the_magnitude()
    {
        var rope = Attention(Read($$"""{ {{Llama}}, "rope_scaling":{"factor":4.0,"rope_type":"yarn","original_max_position_embeddings":32768} }"""), 0).Rope!;
        Assert.Equal(1f, rope.Frequencies[0]);
        Assert.Equal(Math.Pow(500000, -62.0 / 64) / 4, rope.Frequencies[31], 1e-12);
        Assert.Equal(0.1 * Math.Log(4) + 1, rope.Magnitude, 1e-6);
    }

    [Fact]
    public void Gemma_3_has_five_sliding_layers_to_each_full_one()
    {
        var spec = Read("""
            {"model_type":"gemma3","text_config":{"model_type":"gemma3_text","hidden_size":2560,"intermediate_size":10240,"num_hidden_layers":34,
             "rope_scaling":{"factor":8.0,"rope_type":"linear"},"sliding_window":1024},"vision_config":{"hidden_size":1152}}
            """);
        Assert.Equal(262208, spec.VocabularySize);
        Assert.Equal(MathF.Sqrt(2560), spec.EmbeddingScale);
        Assert.Equal(1, spec.Norm.WeightOffset);
        Assert.Equal([5, 11, 17, 23, 29], Enumerable.Range(0, 34).Where(i => Attention(spec, i).SlidingWindow is null));
        Assert.Equal(1024, Attention(spec, 0).SlidingWindow);
        var (local, global) = (Attention(spec, 0).Rope!, Attention(spec, 5).Rope!);
        Assert.Equal((10000f, 1f), (local.Theta, local.Frequencies[0]));
        Assert.Equal((1e6f, 0.125f), (global.Theta, global.Frequencies[0]));
        Assert.Equal(1f / 16, Attention(spec, 0).Scale);
        Assert.True(spec.Layers[0].PostMixerNorm && Attention(spec, 0).QkNorm);
    }

    [Fact]
    public void Gemma_3_by_rope_parameters_and_layer_types()
    {
        var spec = Read("""
            {"model_type":"gemma3_text","hidden_size":640,"intermediate_size":2048,"num_hidden_layers":2,"vocab_size":262144,"sliding_window":512,
             "layer_types":["full_attention","sliding_attention"],
             "rope_parameters":{"full_attention":{"rope_type":"linear","factor":8.0,"rope_theta":1000000.0},"sliding_attention":{"rope_type":"default","rope_theta":10000.0}}}
            """);
        Assert.Equal((null, 512), (Attention(spec, 0).SlidingWindow, Attention(spec, 1).SlidingWindow));
        Assert.Equal((0.125f, 1f), (Attention(spec, 0).Rope!.Frequencies[0], Attention(spec, 1).Rope!.Frequencies[0]));
    }

    [Fact]
    public void Gemma_2_27B_scales_scores_by_its_own_number()
    {
        var spec = Read("""
            {"model_type":"gemma2","hidden_size":4608,"intermediate_size":36864,"num_hidden_layers":46,"num_attention_heads":32,"num_key_value_heads":16,"head_dim":128,
             "query_pre_attn_scalar":144,"vocab_size":256000,"max_position_embeddings":8192,"attn_logit_softcapping":50.0,"final_logit_softcapping":30.0,"sliding_window":4096}
            """);
        Assert.Equal(1f / 12, Attention(spec, 0).Scale);
        Assert.Equal((50f, 30f), (Attention(spec, 0).ScoreSoftcap, spec.LogitSoftcap));
        Assert.Equal((4096, null), (Attention(spec, 0).SlidingWindow, Attention(spec, 1).SlidingWindow));
    }

    [Theory]
    [InlineData("false", 0)]
    [InlineData("true", 7)]
    public void Qwen_slides_in_upper_layers_if_at_all(string used, int sliding)
    {
        var spec = Read($$"""
            {"model_type":"qwen2","hidden_size":3584,"intermediate_size":18944,"num_hidden_layers":28,"num_attention_heads":28,"num_key_value_heads":4,"vocab_size":152064,
             "max_position_embeddings":32768,"sliding_window":131072,"use_sliding_window":{{used}},"max_window_layers":21}
            """);
        Assert.Equal(sliding, Enumerable.Range(0, 28).Count(i => Attention(spec, i).SlidingWindow is not null));
        Assert.True(Attention(spec, 0).QkvBias);
        Assert.False(Attention(spec, 0).OutputBias);
    }

    [Fact]
    public void Phi_4_mini_rotates_a_part_of_its_heads_by_two_lists_of_factors()
    {
        var factors = string.Join(",", Enumerable.Repeat("1.5", 48));
        var spec = Read($$"""
            {"model_type":"phi3","hidden_size":3072,"intermediate_size":8192,"num_hidden_layers":32,"num_attention_heads":24,"num_key_value_heads":8,"vocab_size":200064,
             "max_position_embeddings":131072,"original_max_position_embeddings":4096,"partial_rotary_factor":0.75,"sliding_window":262144,"tie_word_embeddings":true,
             "rope_scaling":{"type":"longrope","short_factor":[{{factors}}],"long_factor":[{{factors.Replace("1.5", "3.0", StringComparison.Ordinal)}}]} }
            """);
        var rope = Attention(spec, 0).Rope!;
        Assert.Equal((96, 4096), (rope.Dimensions, rope.LongContextThreshold));
        Assert.Equal((1 / 1.5f, 1 / 3f), (rope.Frequencies[0], rope.LongFrequencies[0]));
        Assert.Equal(Math.Sqrt(1 + Math.Log(32) / Math.Log(4096)), rope.Magnitude, 1e-6);
    }

    [Theory]
    [InlineData("""{"hidden_size":8}""", "lacks \"model_type\"")]
    [InlineData("""{"model_type":"wavenet"}""", "\"wavenet\" is not known")]
    [InlineData("""{"model_type":"llama","hidden_size":8}""", "lacks \"num_attention_heads\"")]
    [InlineData("""{"model_type":"llama","hidden_size":"8","num_attention_heads":1}""", "\"hidden_size\" is \"8\"; a finite number was expected")]
    [InlineData("""{"model_type":"llama","hidden_size":8.5,"num_attention_heads":1}""", "a whole number")]
    [InlineData("""[]""", "is not a JSON object")]
    public void A_configuration_that_cannot_be_read_says_why(string json, string expected) =>
        Assert.Contains(expected, Assert.Throws<CheckpointException>(() => Read(json)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("\"num_hidden_layers\":16", "\"num_hidden_layers\":2000000000", "number of layers is 2000000000")]
    [InlineData("\"num_key_value_heads\":8", "\"num_key_value_heads\":7", "cannot share")]
    [InlineData("\"head_dim\":64", "\"head_dim\":63", "positive even number")]
    [InlineData("\"rope_theta\":500000.0", "\"rope_theta\":0", "base is 0")]
    public void Numbers_that_no_model_has_are_refused(string from, string to, string expected) =>
        Assert.Contains(expected, Assert.Throws<CheckpointException>(() => Read($$"""{ {{Llama.Replace(from, to, StringComparison.Ordinal)}} }""")).Message, StringComparison.Ordinal);

    [Fact]
    public void Metadata_alone_gives_the_shapes_that_the_whole_file_gives()
    {
        using var folder = new TemporaryFolder();
        foreach (var family in Enum.GetValues<SyntheticFamily>())
        {
            var path = folder.File($"{family}.gguf");
            // Metadata does not say whether embeddings are tied; SmolLM3's are.
            SyntheticCheckpoint.Write(path, SyntheticModel.Tiny(family) with { Tied = family == SyntheticFamily.SmolLm3 });
            using var file = GgufFile.Open(path);
            using var checkpoint = Checkpoint.Open(path);
            var spec = ModelSpecReader.FromGguf(file.Metadata);
            Assert.Equal(checkpoint.Spec.ParameterCount, spec.ParameterCount);
            Assert.Equal(checkpoint.Spec.Layers.Select(layer => Shapeless(layer)), spec.Layers.Select(layer => Shapeless(layer)));
        }
    }

    /// <summary>Records compare arrays by identity, so frequencies are left out.</summary>
    private static LayerSpec Shapeless(LayerSpec layer) => layer with { Mixer = (AttentionSpec)layer.Mixer with { Rope = null } };

    private static AttentionSpec Attention(ModelSpec spec, int layer) => (AttentionSpec)spec.Layers[layer].Mixer;

    private static ModelSpec Read(string json) => ModelSpecReader.FromConfig(JsonDocument.Parse(json).RootElement);
}
