using System.Collections.Immutable;
using Kvasir.Adapters.Metrics;

namespace Kvasir.Adapters.TensorRtLlm;

/// <summary>TensorRT-LLM. <c>/metrics</c> is JSON there; Prometheus' text needs <c>return_perf_metrics</c>.</summary>
internal sealed class TensorRtLlmAdapter : EngineAdapter
{
    public override EngineKind Kind => EngineKind.TensorRtLlm;

    public override IReadOnlyList<string> Names => ["tensorrt-llm", "trtllm", "trt-llm"];

    // The stream is in new releases alone; where it is not, events are fetched.
    public override ImmutableArray<KvEventWire> Events => [KvEventWire.Http, KvEventWire.ZeroMq];

    public override string EventPath => "/kv_cache_events";

    // Of messages only newer releases tell the tokens.
    public override string TokenizePath => "/_internal/tokenize";

    public override Uri MetricsAddress(Uri worker) => new(worker, "/prometheus/metrics");

    public override EngineReading Read(PrometheusSamples samples) => new()
    {
        Running = samples.Sum("trtllm_num_requests_running"),
        Waiting = samples.Sum("trtllm_num_requests_waiting"),
        // Paused ones gave way to others and are in neither of the two.
        Unfinished = samples.Sum("trtllm_num_requests_running") + samples.Sum("trtllm_num_requests_waiting") + (samples.Sum("trtllm_num_paused_requests") ?? 0),
        KvUsedRatio = samples.Mean("trtllm_kv_cache_utilization"),
        CapacityTokens = samples.Sum("trtllm_kv_cache_max_blocks") * samples.Mean("trtllm_kv_cache_tokens_per_block"),
        BlockSize = samples.Mean("trtllm_kv_cache_tokens_per_block"),
        PrefixQueryTokens = samples.Sum("trtllm_prompt_tokens_total"),
        PrefixHitTokens = samples.Sum("trtllm_prompt_cached_tokens_total"),
    };
}
