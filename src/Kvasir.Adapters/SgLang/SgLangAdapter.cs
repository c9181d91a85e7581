using Kvasir.Adapters.Metrics;

namespace Kvasir.Adapters.SgLang;

/// <summary>SGLang. Metrics need <c>--enable-metrics</c>; names follow <c>metrics_collector.py</c> of August 2026.</summary>
internal sealed class SgLangAdapter : EngineAdapter
{
    public override EngineKind Kind => EngineKind.SgLang;

    public override IReadOnlyList<string> Names => ["sglang"];

    public override KvEventWire Events => KvEventWire.ZeroMq;

    public override string TokenizePath => "/tokenize";

    public override EngineReading Read(PrometheusSamples samples) => new()
    {
        Running = samples.Sum("sglang:num_running_reqs"),
        Waiting = samples.Sum("sglang:num_queue_reqs"),
        KvUsedRatio = samples.Mean("sglang:token_usage", "sglang:full_token_usage"),
        CapacityTokens = samples.Sum("sglang:max_total_num_tokens"),
        BlockSize = samples.Mean("sglang:page_size"),
        PrefixQueryTokens = samples.Sum("sglang:prompt_tokens_total"),
        PrefixHitTokens = samples.Sum("sglang:cached_tokens_total"),
        Preemptions = samples.Sum("sglang:num_retracted_requests_total"),
    };
}
