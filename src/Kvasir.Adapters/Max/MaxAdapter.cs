using Kvasir.Adapters.Metrics;

namespace Kvasir.Adapters.Max;

/// <summary>Modular MAX. Metrics are served on a port of their own; it turns no text into tokens and publishes no events whose form is known.</summary>
internal sealed class MaxAdapter : EngineAdapter
{
    private const int MetricsPort = 8001;
    private const int DefaultPageTokens = 128;

    public override EngineKind Kind => EngineKind.Max;

    public override IReadOnlyList<string> Names => ["max"];

    public override Uri MetricsAddress(Uri worker) => new UriBuilder(worker) { Port = MetricsPort, Path = "/metrics" }.Uri;

    public override EngineReading Read(PrometheusSamples samples)
    {
        var used = samples.Sum("maxserve_cache_num_used_blocks_blocks", "maxserve_cache_num_used_blocks");
        var total = samples.Sum("maxserve_cache_num_total_blocks_blocks", "maxserve_cache_num_total_blocks");
        var hits = samples.Sum("maxserve_cache_hits_tokens_total");
        return new EngineReading
        {
            Running = samples.Sum("maxserve_num_requests_running"),
            Waiting = samples.Sum("maxserve_num_requests_queued"),
            Unfinished = samples.Sum("maxserve_num_requests_running") + samples.Sum("maxserve_num_requests_queued") + (samples.Sum("maxserve_num_requests_awaiting_admission") ?? 0),
            KvUsedRatio = total > 0 ? used / total : null,
            CapacityTokens = total * DefaultPageTokens,
            PrefixHitTokens = hits,
            PrefixQueryTokens = hits + samples.Sum("maxserve_cache_misses_tokens_total"),
            Preemptions = samples.Sum("maxserve_cache_preemption_count_total"),
        };
    }
}
