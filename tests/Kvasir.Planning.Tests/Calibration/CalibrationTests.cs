using Kvasir.Planning.Calibration;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Fit;
using Kvasir.Planning.Hardware;
using Kvasir.Planning.Tests.Reference;

namespace Kvasir.Planning.Tests.Calibration;

public sealed class CalibrationTests : IDisposable
{
    private const string Vllm = """
        INFO 08-28 09:11:02 [api_server.py:1896] vLLM API server version 0.11.0
        INFO 08-28 09:11:04 [core.py:77] Initializing a V1 LLM engine (v0.11.0) with config: model='meta-llama/Llama-3.1-8B-Instruct', dtype=torch.bfloat16, max_seq_len=16384, tensor_parallel_size=1, pipeline_parallel_size=1, quantization=None, enforce_eager=False, kv_cache_dtype=auto
        INFO 08-28 09:11:30 [gpu_model_runner.py:2653] Model loading took 14.9889 GiB and 12.799889 seconds
        INFO 08-28 09:12:01 [gpu_worker.py:298] Available KV cache memory: 50.31 GiB
        INFO 08-28 09:12:01 [kv_cache_utils.py:1087] GPU KV cache size: 412,144 tokens
        INFO 08-28 09:12:01 [kv_cache_utils.py:1091] Maximum concurrency for 16,384 tokens per request: 25.15x
        INFO 08-28 09:12:20 [gpu_model_runner.py:3480] Graph capturing finished in 19 secs, took 0.52 GiB
        INFO 08-28 09:12:20 [gpu_worker.py:391] Free memory on device (78.57/79.18 GiB) on startup. Desired GPU memory utilization is (0.9, 71.26 GiB). Actual usage is 14.99 GiB for weight, 5.56 GiB for peak activation, 0.13 GiB for non-torch memory, and 0.52 GiB for CUDAGraph memory.
        """;

    private const string SgLang = """
        [2025-08-01 10:00:00 TP0] server_args=ServerArgs(model_path='Qwen/Qwen3-8B', tp_size=2, mem_fraction_static=0.85, chunked_prefill_size=8192, context_length=40960)
        [2025-08-01 10:00:09 TP0] Load weight begin. avail mem=78.60 GB
        [2025-08-01 10:00:19 TP0] Load weight end. type=Qwen3ForCausalLM, dtype=torch.bfloat16, avail mem=70.90 GB, mem usage=7.70 GB.
        [2025-08-01 10:00:19 TP1] Load weight end. type=Qwen3ForCausalLM, dtype=torch.bfloat16, avail mem=70.88 GB, mem usage=7.72 GB.
        [2025-08-01 10:00:20 TP0] KV Cache is allocated. #tokens: 835000, K size: 28.66 GB, V size: 28.66 GB
        [2025-08-01 10:00:31 TP0] Capture cuda graph end. Time elapsed: 9.12 s. mem usage=0.98 GB. avail mem=11.90 GB.
        """;

    private const string LlamaCpp = """
        llama_model_loader: loaded meta data with 29 key-value pairs and 292 tensors from ./llama-8b-q4.gguf (version GGUF V3 (latest))
        load_tensors:        CUDA0 model buffer size =  4403.50 MiB
        load_tensors:   CPU_Mapped model buffer size =   281.81 MiB
        llama_context: n_seq_max     = 1
        llama_context: n_ctx         = 8192
        llama_context: n_ubatch      = 512
        llama_kv_cache:      CUDA0 KV buffer size =  1024.00 MiB
        llama_context:      CUDA0 compute buffer size =   258.50 MiB
        llama_context:  CUDA_Host compute buffer size =    24.01 MiB
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvasir-corrections-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void A_log_of_vLLM_is_read_line_by_line()
    {
        var log = EngineLogReader.Read(Vllm);
        Assert.Equal(("vllm", "0.11.0", "meta-llama/Llama-3.1-8B-Instruct"), (log.Engine, log.Version, log.Model));
        Assert.Equal((1, 1, 16384L, 0.9, false), (log.Tensor!.Value, log.Pipeline!.Value, log.Context!.Value, log.Utilization!.Value, log.Eager));
        Assert.Equal([79.18, 14.99, 5.56, 0.13, 0.52, 50.31], new[] { log.DeviceBytes, log.WeightBytes, log.ActivationBytes, log.OverheadBytes, log.GraphBytes, log.PoolBytes }.Select(bytes => Math.Round(bytes!.Value / (double)(1L << 30), 2)));
        Assert.Equal(412144, log.PoolTokens);
        Assert.Null(log.Failure);
    }

    [Fact]
    public void A_log_of_SGLang_is_read_and_the_fullest_rank_counts()
    {
        var log = EngineLogReader.Read(SgLang);
        Assert.Equal(("sglang", "Qwen/Qwen3-8B", 2, 40960L, 8192), (log.Engine, log.Model, log.Tensor, log.Context, log.MaxBatchedTokens));
        Assert.Equal(7.72, log.WeightBytes!.Value / (double)(1L << 30), 3);
        Assert.Equal(57.32, log.PoolBytes!.Value / (double)(1L << 30), 3);
        Assert.Equal(835000, log.PoolTokens);
    }

    [Fact]
    public void A_log_of_llama_cpp_is_read_by_device()
    {
        var log = EngineLogReader.Read(LlamaCpp);
        Assert.Equal(("llama.cpp", 8192L, 512, 1), (log.Engine, log.Context, log.MaxBatchedTokens, log.MaxSequences));
        Assert.Equal([4403.5, 1024, 258.5], new[] { log.WeightBytes, log.PoolBytes, log.GraphBytes }.Select(bytes => bytes!.Value / (double)(1L << 20)));
    }

    [Fact]
    public void A_start_that_failed_says_so()
    {
        var log = EngineLogReader.Read("INFO Model loading took 65.9651 GiB and 12.8 seconds\nINFO Available KV cache memory: -2.14 GiB\nERROR ValueError: No available memory for the cache blocks. Try increasing gpu_memory_utilization.");
        Assert.Contains("No available memory", log.Failure);
        Assert.True(log.PoolBytes < 0);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Hello\nworld")]
    [InlineData("\0\0\0")]
    public void A_text_that_is_no_start_is_refused(string text) => Assert.Contains("--engine", Assert.Throws<CalibrationException>(() => EngineLogReader.Read(text)).Message);

    [Fact]
    public void A_hostile_log_takes_no_time()
    {
        var log = EngineLogReader.Read("vllm " + new string('9', 200_000) + new string('(', 50_000) + string.Concat(Enumerable.Repeat("took ", 20_000)), "vllm");
        Assert.Null(log.WeightBytes);
    }

    [Fact]
    public void The_component_that_was_off_is_named()
    {
        var (estimate, _) = Estimate("0.11.0");
        var log = EngineLogReader.Read(Vllm) with { OverheadBytes = estimate.Overhead.High + (3L << 30) };
        var comparison = LogComparison.Of(estimate, log);
        Assert.Equal("overhead", comparison.MostOff!.Name);
        Assert.True(comparison.Components.Single(part => part.Name == "weights").WithinBounds);
        Assert.InRange(comparison.Components.Single(part => part.Name == "KV tokens").Error, -0.05, 0.05);
    }

    [Fact]
    public void After_calibration_the_plan_says_what_the_log_said_and_names_it()
    {
        var (before, request) = Estimate("0.11.0");
        var log = EngineLogReader.Read(Vllm) with { OverheadBytes = 2L << 30, GraphBytes = 1L << 30 };
        var store = new CorrectionStore(Path.Combine(_folder.FullName, "deep", "corrections.json"));
        Assert.Empty(store.Read());
        store.Add(Correction.From(LogComparison.Of(before, log), "vllm", "0.11.0", request.Gpu.Id, Correction.ModelKey(request.Model), false, "vllm.log"));
        var rules = CorrectedRules.Of(request.Engine, store.Read(), request.Gpu.Id);
        var after = rules.Estimate(request.Model, request.Device, request.Options);
        Assert.Equal([log.OverheadBytes!.Value, log.GraphBytes!.Value], [after.Overhead.Likely, after.Graphs.Likely]);
        Assert.InRange(after.Weights.Likely, log.WeightBytes!.Value - 2, log.WeightBytes.Value + 2);
        Assert.InRange(after.Activations.Likely, log.ActivationBytes!.Value - 2, log.ActivationBytes.Value + 2);
        Assert.Contains("vllm.log", after.Version);
        Assert.True(after.Overhead.High - after.Overhead.Low <= before.Overhead.High - before.Overhead.Low);
    }

    [Fact]
    public void Corrections_hold_for_their_engine_version_GPU_and_ranks_alone()
    {
        var (estimate, request) = Estimate("0.11.0");
        var one = Correction.From(LogComparison.Of(estimate, EngineLogReader.Read(Vllm)), "vllm", "0.11.0", request.Gpu.Id, "m", false, "a.log");
        Assert.NotNull(CorrectionSum.Of([one], "vllm", "v0.11.2rc1", request.Gpu.Id, "m", false));
        Assert.Null(CorrectionSum.Of([one], "vllm", "0.12.0", request.Gpu.Id, "m", false));
        Assert.Null(CorrectionSum.Of([one], "sglang", "0.11.0", request.Gpu.Id, "m", false));
        Assert.Null(CorrectionSum.Of([one], "vllm", "0.11.0", "l4-24", "m", false));
        Assert.Null(CorrectionSum.Of([one], "vllm", "0.11.0", request.Gpu.Id, "m", true));
        Assert.Null(CorrectionSum.Of([one], "vllm", "0.11.0", request.Gpu.Id, "another model", false)!.Weights);
        Assert.Same(request.Engine, CorrectedRules.Of(request.Engine, [one], "l4-24"));
    }

    [Fact]
    public void Of_several_logs_the_median_counts_and_the_same_log_counts_once()
    {
        var store = new CorrectionStore(Path.Combine(_folder.FullName, "c.json"));
        foreach (var (source, bytes) in new[] { ("a", 1L), ("b", 100L), ("c", 3L), ("b", 2L) })
            store.Add(new Correction { Engine = "vllm", Version = "0.11", Gpu = "g", Model = "m", Source = source, GraphsDifference = bytes });
        Assert.Equal(3, store.Read().Length);
        Assert.Equal(2, CorrectionSum.Of(store.Read(), "vllm", "0.11", "g", "m", false)!.Graphs);
    }

    [Fact]
    public void A_broken_file_of_corrections_is_named()
    {
        var path = Path.Combine(_folder.FullName, "broken.json");
        File.WriteAllText(path, "{");
        Assert.Contains(path, Assert.Throws<CalibrationException>(() => new CorrectionStore(path).Read()).Message);
    }

    private static (MemoryEstimate Estimate, PlanRequest Request) Estimate(string version)
    {
        ReferenceData.Require();
        var model = WorkedExample.All().Single(example => example.Name == "Llama-3.1-8B").Spec;
        var request = new PlanRequest
        {
            Model = model, ModelName = "llama", Gpu = GpuCatalogue.Find("H100"), Engine = EngineCatalogue.Find("vllm")!,
            Options = new ServingOptions { Version = version, Context = 16384, Utilization = 0.9 },
        };
        return (request.Engine.Estimate(model, request.Device, request.Options), request);
    }
}
