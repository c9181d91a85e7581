using Kvasir.Adapters.Metrics;

namespace Kvasir.Adapters.Own;

/// <summary>Kvasir's own server.</summary>
internal sealed class KvasirAdapter : EngineAdapter
{
    private const int BlockTokens = 16;

    public override EngineKind Kind => EngineKind.Kvasir;

    public override IReadOnlyList<string> Names => ["kvasir"];

    public override string ReadyPath => "/ready";

    public override KvEventWire Events => KvEventWire.ZeroMq;

    public override string TokenizePath => "/tokenize";

    public override bool TokenizesMessages => true;

    public override EngineReading Read(PrometheusSamples samples) => new()
    {
        Running = samples.Sum("kvasir_num_requests_running"),
        Waiting = samples.Sum("kvasir_num_requests_waiting"),
        KvUsedRatio = samples.Mean("kvasir_kv_cache_usage_perc"),
        CapacityTokens = samples.Sum("kvasir_kv_cache_tokens"),
        BlockSize = BlockTokens,
        PrefixQueryTokens = samples.Sum("kvasir_prompt_tokens_total"),
        PrefixHitTokens = samples.Sum("kvasir_prompt_tokens_cached_total"),
        Preemptions = samples.Sum("kvasir_num_preemptions_total"),
    };
}
