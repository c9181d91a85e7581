using System.Text.Json;
using Kvasir.Checkpoints;
using Kvasir.Cli.Planning;
using Kvasir.Synthesis;

namespace Kvasir.Cli.Tests;

public sealed class PlanCommandTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvasir-plan-");

    [Fact]
    public void A_plan_that_fits_says_so_in_every_format_and_exits_with_0()
    {
        foreach (var (format, expected) in (ReadOnlySpan<(string, string)>)[("table", "Fits: 8,192 tokens"), ("markdown", "| weights |"), ("html", "<svg"), ("json", "\"fits\": true")])
        {
            var (code, output, _) = Plan(Config(), "--gpu", "H100 SXM5 80GB", "--gpus", "4", "--context", "8k", "--format", format);
            Assert.Equal(0, code);
            Assert.Contains(expected, output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Json_adds_up_and_has_the_documented_fields()
    {
        var (code, output, _) = Plan(Config(), "--gpu", "H100 SXM5 80GB", "--gpus", "4", "--context", "8k", "--format", "json");
        Assert.Equal(0, code);
        using var json = JsonDocument.Parse(output);
        var gpu = json.RootElement.GetProperty("per_gpu")[0];
        var parts = new[] { "weights_bytes", "kv_bytes", "activation_bytes", "graph_bytes", "overhead_bytes", "free_bytes" }.Sum(name => gpu.GetProperty(name).GetInt64());
        Assert.Equal(json.RootElement.GetProperty("request").GetProperty("gpu_bytes").GetInt64(), parts);
        Assert.Equal(4, json.RootElement.GetProperty("per_gpu").GetArrayLength());
        foreach (var name in (string[])["fits", "reasons", "kv", "fixes", "launch", "rule_of_thumb", "throughput"]) Assert.True(json.RootElement.TryGetProperty(name, out _), name);
        Assert.Contains("--kv-cache-memory-bytes", json.RootElement.GetProperty("launch").GetProperty("vllm").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_plan_that_does_not_fit_gives_the_reason_a_fix_and_exit_code_1()
    {
        var (code, output, _) = Plan(Config(), "--gpu", "H100 SXM5 80GB", "--context", "8k");
        Assert.Equal(1, code);
        Assert.Contains("The weights alone take 131.4", output, StringComparison.Ordinal);
        Assert.Contains("✓ use 2 GPUs", output, StringComparison.Ordinal);
        Assert.Contains("vllm serve meta-llama/Llama-3.1-70B-Instruct", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("H10", "Nearest")]
    [InlineData("H100 SXM5 80GB", "--tp", "3", "does not divide the 64 attention heads")]
    [InlineData("H100 SXM5 80GB", "--context", "-5", "--context")]
    [InlineData("H100 SXM5 80GB", "--engine", "wllm", "vllm")]
    [InlineData("H100 SXM5 80GB", "--engine-version", "latest", "such as 0.11")]
    [InlineData("H100 SXM5 80GB", "--gpu-memory", "80", "write the unit")]
    [InlineData("H100 SXM5 80GB", "--kv-dtype", "fp7", "fp8")]
    [InlineData("H100 SXM5 80GB", "--quantization", "q99", "Q4_K_M")]
    public void What_is_wrong_is_said_with_what_would_be_right(string gpu, params string[] arguments)
    {
        var (code, _, error) = Plan([Config(), "--gpu", gpu, .. arguments[..^1]]);
        Assert.NotEqual(0, code);
        Assert.Contains(arguments[^1], error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"model_type\":\"llama\",\"hidden_size\":8}", "lacks")]
    [InlineData("{\"model_type\":\"wavenet\"}", "not known")]
    [InlineData("{\"model_type\":\"qwen3_moe\",\"vocab_size\":0,\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_experts\":4,\"num_experts_per_tok\":2,\"moe_intermediate_size\":64,\"intermediate_size\":64}", "vocab_size")]
    [InlineData("{", "not valid JSON")]
    public void A_configuration_that_cannot_be_planned_says_why(string config, string expected)
    {
        var path = Path.Combine(_folder.FullName, "config.json");
        File.WriteAllText(path, config);
        var (code, _, error) = Plan(path, "--gpu", "any");
        Assert.Equal(1, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_size_alone_gives_the_rule_of_thumb()
    {
        var (code, output, _) = Plan("70B");
        Assert.Equal(0, code);
        Assert.Contains("168.0 GB", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Any_lists_set_ups_smallest_first()
    {
        var (code, output, _) = Plan(Config(), "--gpu", "any", "--context", "8k", "--format", "json");
        Assert.Equal(0, code);
        using var json = JsonDocument.Parse(output);
        var sizes = json.RootElement.GetProperty("setups").EnumerateArray().Select(setup => setup.GetProperty("memory_bytes").GetInt64()).ToList();
        Assert.NotEmpty(sizes);
        Assert.Equal(sizes.Order(), sizes);
    }

    [Fact]
    public void A_local_checkpoint_is_planned_for_this_machines_processor_by_its_own_engine()
    {
        var path = Path.Combine(_folder.FullName, "model.gguf");
        SyntheticCheckpoint.Write(path, SyntheticFamily.Llama, TensorType.Q4_K);
        var model = PlannedModel.Open(path);
        Assert.True(model.Gguf);
        using var checkpoint = Checkpoint.Open(path);
        Assert.Equal(checkpoint.AllTensors.Sum(tensor => tensor.ByteLength), model.CheckpointBytes);
        var (code, output, _) = Plan(path, "--gpu", "RTX 4090");
        Assert.Equal(0, code);
        Assert.Contains("llama-server -m", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_a_checkpoint_of_a_terabyte_the_headers_alone_are_read()
    {
        File.WriteAllText(Path.Combine(_folder.FullName, "config.json"), PlanRun.Llama70B);
        for (var shard = 1; shard <= 32; shard++)
        {
            using var file = File.Create(Path.Combine(_folder.FullName, $"model-{shard:00000}-of-00032.safetensors"));
            file.Write([2, 0, 0, 0, 0, 0, 0, 0, (byte)'{', (byte)'}']);
            file.SetLength(10 + (32L << 30));
        }
        Assert.SkipUnless(new FileInfo(Path.Combine(_folder.FullName, "model-00001-of-00032.safetensors")).Length > 32L << 30, "Files with holes cannot be made here.");
        PlannedModel.Open(_folder.FullName);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var model = PlannedModel.Open(_folder.FullName);
        Assert.Equal(1L << 40, model.CheckpointBytes);
        // What is read is held: a megabyte of a terabyte is headers.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private string Config()
    {
        var path = Path.Combine(_folder.FullName, "config.json");
        File.WriteAllText(path, PlanRun.Llama70B);
        return path;
    }

    private static (int Code, string Output, string Error) Plan(params string[] arguments) => PlanRun.Of(["plan", .. arguments]);
}
