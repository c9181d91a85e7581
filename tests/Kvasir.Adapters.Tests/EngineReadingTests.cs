using Kvasir.Adapters.Metrics;

namespace Kvasir.Adapters.Tests;

public sealed class EngineReadingTests
{
    [Fact]
    public void vLLM_tells_load_cache_and_capacity()
    {
        var reading = Read("vllm", """
            # HELP vllm:num_requests_running Number of requests
            # TYPE vllm:num_requests_running gauge
            vllm:num_requests_running{engine="0",model_name="a}b\"c"} 3.0
            vllm:num_requests_running{engine="1",model_name="a"} 2.0
            vllm:num_requests_waiting{engine="0"} 7
            vllm:kv_cache_usage_perc{engine="0"} 0.5
            vllm:kv_cache_usage_perc{engine="1"} 0.7
            vllm:cache_config_info{block_size="16",num_gpu_blocks="1000"} 1.0
            vllm:prefix_cache_queries_total 1e3 1700000000000
            vllm:prefix_cache_hits_total 250
            """);
        Assert.Equal((5.0, 7.0, 0.6), (reading.Running, reading.Waiting, Math.Round(reading.KvUsedRatio!.Value, 9)));
        Assert.Equal((16_000.0, 16.0, 1000.0, 250.0), (reading.CapacityTokens, reading.BlockSize, reading.PrefixQueryTokens, reading.PrefixHitTokens));
    }

    [Fact]
    public void SGLang_sums_cached_tokens_over_sources()
    {
        var reading = Read("sglang", "sglang:num_running_reqs 4\nsglang:num_queue_reqs 1\nsglang:token_usage 0.25\nsglang:max_total_num_tokens 5000\nsglang:cached_tokens_total{cache_source=\"device\"} 10\nsglang:cached_tokens_total{cache_source=\"host\"} 5\nsglang:prompt_tokens_total 100");
        Assert.Equal((4.0, 1.0, 0.25, 5000.0, 15.0, 100.0), (reading.Running, reading.Waiting, reading.KvUsedRatio, reading.CapacityTokens, reading.PrefixHitTokens, reading.PrefixQueryTokens));
    }

    [Fact]
    public void Llama_cpp_leaves_cached_tokens_out_of_prompt_tokens()
    {
        var reading = Read("llama.cpp", "llamacpp:prompt_tokens_total 70\nllamacpp:prompt_tokens_cached_total 30\nllamacpp:requests_processing 1\nllamacpp:requests_deferred 2");
        Assert.Equal((1.0, 2.0, 30.0, 100.0), (reading.Running, reading.Waiting, reading.PrefixHitTokens, reading.PrefixQueryTokens));
        Assert.Null(reading.KvUsedRatio);
    }

    [Fact]
    public void TensorRt_Llm_and_Max_are_read_on_their_own_addresses()
    {
        Assert.Equal("http://a:8000/prometheus/metrics", EngineAdapter.Named("trtllm")!.MetricsAddress(new Uri("http://a:8000"))!.ToString());
        Assert.Equal("http://a:8001/metrics", EngineAdapter.Named("max")!.MetricsAddress(new Uri("http://a:8000"))!.ToString());
        Assert.Equal(0.25, Read("max", "maxserve_cache_num_used_blocks_blocks 25\nmaxserve_cache_num_total_blocks_blocks 100").KvUsedRatio);
        Assert.Equal(3200, Read("trtllm", "trtllm_kv_cache_max_blocks 100\ntrtllm_kv_cache_tokens_per_block 32").CapacityTokens);
    }

    [Fact]
    public void Kvasir_tells_its_blocks()
    {
        var reading = Read("kvasir", "kvasir_num_requests_running 2\nkvasir_kv_cache_tokens 1600\nkvasir_kv_cache_usage_perc 0.5");
        Assert.Equal((2.0, 1600.0, 0.5), (reading.Running, reading.CapacityTokens, reading.KvUsedRatio));
    }

    [Fact]
    public void Data_parallel_engines_of_vLLM_add_up_their_blocks_and_not_their_size()
    {
        var reading = Read("vllm", """
            vllm:cache_config_info{block_size="16",num_gpu_blocks="1000",engine="0"} 1.0
            vllm:cache_config_info{block_size="16",num_gpu_blocks="500",engine="1"} 1.0
            vllm:prefix_cache_hits_total{engine="0"} 10
            vllm:external_prefix_cache_hits_total{engine="0"} 5
            """);
        Assert.Equal((16.0, 24_000.0, 15.0), (reading.BlockSize, reading.CapacityTokens, reading.PrefixHitTokens));
    }

    /// <summary>No engine has a route that drains it; each tells in its own words when it is empty.</summary>
    [Theory]
    [InlineData("vllm", "vllm:num_requests_running 2\nvllm:num_requests_waiting 1", 3)]
    [InlineData("sglang", "sglang:num_running_reqs 1\nsglang:num_queue_reqs 1\nsglang:num_paused_reqs 2\nsglang:num_grammar_queue_reqs 1", 5)]
    [InlineData("sglang", "sglang:num_running_reqs 0\nsglang:num_queue_reqs 0", 0)]
    [InlineData("trtllm", "trtllm_num_requests_running 1\ntrtllm_num_requests_waiting 0\ntrtllm_num_paused_requests 1", 2)]
    [InlineData("max", "maxserve_num_requests_running 1\nmaxserve_num_requests_queued 2\nmaxserve_num_requests_awaiting_admission 1", 4)]
    [InlineData("llama.cpp", "llamacpp:requests_processing 1\nllamacpp:requests_deferred 4", 5)]
    [InlineData("kvasir", "kvasir_num_requests_running 1\nkvasir_num_requests_waiting 1", 2)]
    public void Every_engine_tells_what_has_not_ended(string engine, string metrics, double unfinished) => Assert.Equal(unfinished, Read(engine, metrics).Unfinished);

    [Fact]
    public void Adapters_know_how_events_and_tokens_can_be_had()
    {
        Assert.Equal([KvEventWire.Http, KvEventWire.ZeroMq], EngineAdapter.Named("trtllm")!.Events);
        Assert.Equal("/kv_cache_events", EngineAdapter.Named("trtllm")!.EventPath);
        Assert.All((string[])["vllm", "sglang", "kvasir"], name => Assert.Equal([KvEventWire.ZeroMq], EngineAdapter.Named(name)!.Events));
        Assert.All((string[])["max", "llama.cpp", "openai"], name => Assert.Empty(EngineAdapter.Named(name)!.Events));
        Assert.Equal(("/_internal/tokenize", false), (EngineAdapter.Named("trtllm")!.TokenizePath, EngineAdapter.Named("trtllm")!.TokenizesMessages));
        Assert.Null(EngineAdapter.Named("max")!.TokenizePath);
        Assert.Equal(("content", "prompt"), (EngineAdapter.Named("llama.cpp")!.TokenizedField, EngineAdapter.Named("sglang")!.TokenizedField));
    }

    [Theory]
    [InlineData("vllm")]
    [InlineData("sglang")]
    [InlineData("trtllm")]
    [InlineData("max")]
    [InlineData("llama.cpp")]
    [InlineData("kvasir")]
    [InlineData("openai")]
    public void What_is_not_told_is_unknown_and_not_zero(string engine)
    {
        var reading = Read(engine, "something_else 1\n{broken\nno_value\nx{a=\"unclosed 3\nnan_metric NaN\n");
        Assert.Null(reading.Running);
        Assert.Null(reading.Unfinished);
        Assert.Null(reading.KvUsedRatio);
        Assert.Null(reading.CapacityTokens);
        Assert.Null(reading.PrefixHitTokens);
    }

    private static EngineReading Read(string engine, string text) => EngineAdapter.Named(engine)!.Read(PrometheusSamples.Parse(text));
}
