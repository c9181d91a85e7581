using Kvasir.Planning.KvCache;
using Kvasir.Planning.Tests.Reference;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Tests.Weights;

public sealed class WorkedExampleTests
{
    public static TheoryData<string> Models => ReferenceData.Folder is null ? ["(no reference data)"] : [.. WorkedExample.All().Select(model => model.Name)];

    [Theory]
    [MemberData(nameof(Models))]
    public void Parameters_and_bytes_are_those_worked_out(string name)
    {
        var example = Find(name);
        var spec = example.Spec;
        Assert.Equal(example.Number("params"), WeightInventory.Parameters(spec));
        Assert.Equal(example.Number("bf16_bytes"), ShardedWeights.Of(spec, Quantization.None, new Parallelism()).Total);
        if (!example.Facts.TryGetProperty("quant_bytes", out var sizes)) return;
        foreach (var size in sizes.EnumerateObject())
        {
            var format = size.Name switch
            {
                "fp8_per_channel" => WeightFormat.Fp8Channel,
                "fp8_block_128x128" => WeightFormat.Fp8Block,
                "awq_int4_g128" => WeightFormat.Awq,
                "gptq_int4_g128_gidx" => WeightFormat.GptqActOrder,
                "nvfp4" => WeightFormat.Nvfp4,
                _ => WeightFormat.Nf4Double,
            };
            var quantization = new Quantization { Name = size.Name, Format = format };
            Assert.True(size.Value.GetInt64() == ShardedWeights.Of(spec, quantization, new Parallelism()).Total, $"{name} as {size.Name}");
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Cache_and_state_are_those_worked_out(string name)
    {
        var example = Find(name);
        var spec = example.Spec;
        Assert.Equal(example.Number("kv_bytes_per_token_bf16"), KvShape.BytesPerToken(spec, KvType.Bf16));
        if (example.Facts.TryGetProperty("kv_bytes_per_token_fp8", out var fp8)) Assert.Equal(fp8.GetInt64(), KvShape.BytesPerToken(spec, KvType.Fp8));
        if (example.Facts.TryGetProperty("kv_bytes_per_token_fp8_ds_mla", out var mla)) Assert.Equal(mla.GetInt64(), KvShape.BytesPerToken(spec, KvType.Parse("fp8_ds_mla")!));
        if (example.Facts.TryGetProperty("indexer_bytes_per_token", out var indexer)) Assert.Equal(indexer.GetInt64(), KvShape.IndexerBytesPerToken(spec));
        if (example.Facts.TryGetProperty("state_bytes_per_request_conv_bf16_ssm_fp32", out var state)) Assert.Equal(state.GetInt64(), KvShape.BytesPerSequence(spec, KvType.Bf16, 1, 4));
        if (example.Facts.TryGetProperty("state_bytes_per_request_all_bf16", out var half)) Assert.Equal(half.GetInt64(), KvShape.BytesPerSequence(spec, KvType.Bf16, 1, 2));
    }

    [Theory]
    [InlineData("gpt-oss-120b", "mxfp4", 65_248_815_744)]
    [InlineData("gpt-oss-20b", "mxfp4", 13_761_264_768)]
    [InlineData("Llama-3.1-8B", "Q4_K_M", 4_912_898_304)]
    [InlineData("Llama-3.1-8B", "Q8_0", 8_532_934_912)]
    public void Published_files_have_the_computed_bytes(string name, string quantization, long bytes)
    {
        var spec = Find(name).Spec;
        Assert.Equal(bytes, ShardedWeights.Of(spec, Quantization.Parse(quantization, spec)!, new Parallelism()).Total);
    }

    [Fact]
    public void DeepSeek_V3_with_its_prediction_layer_has_the_computed_bytes()
    {
        var spec = Find("DeepSeek-V3").Spec with { PredictionLayers = 1 };
        Assert.Equal(673_150_611_808, ShardedWeights.Of(spec, Quantization.Parse("fp8-block", spec)!, new Parallelism()).Total);
        Assert.Equal(688_574_839_360, ShardedWeights.Of(spec, Quantization.Parse("fp8-block", spec)!, new Parallelism(), predictionLayers: true).Total);
    }

    [Theory]
    [InlineData(1, 1, 131.417)]
    [InlineData(2, 1, 65.71)]
    [InlineData(4, 1, 32.856)]
    [InlineData(8, 1, 16.429)]
    [InlineData(16, 1, 8.372)]
    [InlineData(4, 2, 16.428)]
    public void Llama_70B_divides_as_worked_out(int tensor, int pipeline, double gib)
    {
        var weights = ShardedWeights.Of(Find("Llama-3.1-70B").Spec, Quantization.None, new Parallelism(tensor, pipeline));
        Assert.Equal(gib, weights.Largest / (double)(1L << 30), 0.005);
    }

    private static WorkedExample Find(string name)
    {
        ReferenceData.Require();
        return WorkedExample.All().Single(model => model.Name == name);
    }
}
