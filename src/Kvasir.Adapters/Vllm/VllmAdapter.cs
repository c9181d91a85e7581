using System.Collections.Immutable;
using Kvasir.Adapters.Metrics;

namespace Kvasir.Adapters.Vllm;

/// <summary>vLLM. Metric names follow <c>vllm/v1/metrics/loggers.py</c> of July 2026; older gauges are tried after the new ones.</summary>
internal sealed class VllmAdapter : EngineAdapter
{
    public override EngineKind Kind => EngineKind.Vllm;

    public override IReadOnlyList<string> Names => ["vllm"];

    public override ImmutableArray<KvEventWire> Events => [KvEventWire.ZeroMq];

    public override string TokenizePath => "/tokenize";

    public override bool TokenizesMessages => true;

    public override EngineReading Read(PrometheusSamples samples) => new()
    {
        Running = samples.Sum("vllm:num_requests_running"),
        Waiting = samples.Sum("vllm:num_requests_waiting"),
        Unfinished = samples.Sum("vllm:num_requests_running") + samples.Sum("vllm:num_requests_waiting"),
        KvUsedRatio = samples.Mean("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
        CapacityTokens = samples.SumOfLabel("vllm:cache_config_info", "kv_cache_size_tokens")
            // Every data-parallel engine tells its own blocks, of one size.
            ?? samples.SumOfLabel("vllm:cache_config_info", "num_gpu_blocks") * samples.MeanOfLabel("vllm:cache_config_info", "block_size"),
        BlockSize = samples.MeanOfLabel("vllm:cache_config_info", "block_size"),
        PrefixQueryTokens = samples.Sum("vllm:prefix_cache_queries_total"),
        // What the device's cache lacked may have come from a cache beyond it.
        PrefixHitTokens = samples.Sum("vllm:prefix_cache_hits_total") + (samples.Sum("vllm:external_prefix_cache_hits_total") ?? 0),
        Preemptions = samples.Sum("vllm:num_preemptions_total"),
    };
}
