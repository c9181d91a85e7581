using System.Collections.Immutable;
using Kvasir.Adapters.Metrics;

namespace Kvasir.Adapters.SgLang;

/// <summary>SGLang. Metrics need <c>--enable-metrics</c>; names follow <c>metrics_collector.py</c> of August 2026.</summary>
internal sealed class SgLangAdapter : EngineAdapter
{
    public override EngineKind Kind => EngineKind.SgLang;

    public override IReadOnlyList<string> Names => ["sglang"];

    public override ImmutableArray<KvEventWire> Events => [KvEventWire.ZeroMq];

    public override string TokenizePath => "/tokenize";

    public override EngineReading Read(PrometheusSamples samples) => new()
    {
        Running = samples.Sum("sglang:num_running_reqs"),
        Waiting = samples.Sum("sglang:num_queue_reqs"),
        // Paused ones are in neither of the two; those that wait for their grammar stand before the queue.
        Unfinished = samples.Sum("sglang:num_running_reqs") + samples.Sum("sglang:num_queue_reqs")
            + (samples.Sum("sglang:num_paused_reqs") ?? 0) + (samples.Sum("sglang:num_grammar_queue_reqs") ?? 0),
        KvUsedRatio = samples.Mean("sglang:token_usage", "sglang:full_token_usage"),
        CapacityTokens = samples.Sum("sglang:max_total_num_tokens"),
        BlockSize = samples.Mean("sglang:page_size"),
        PrefixQueryTokens = samples.Sum("sglang:prompt_tokens_total"),
        PrefixHitTokens = samples.Sum("sglang:cached_tokens_total"),
        Preemptions = samples.Sum("sglang:num_retracted_requests_total"),
    };
}
