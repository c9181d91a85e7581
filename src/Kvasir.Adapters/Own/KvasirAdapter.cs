using System.Collections.Immutable;
using System.Text;
using Kvasir.Adapters.Metrics;
using Kvasir.Protocol;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Adapters.Own;

/// <summary>Kvasir's own server.</summary>
internal sealed class KvasirAdapter : EngineAdapter
{
    private const int BlockTokens = 16;

    /// <summary>The low bits of its names hold a block's cache group.</summary>
    private static readonly UInt128 GroupBits = 15;

    public override EngineKind Kind => EngineKind.Kvasir;

    public override IReadOnlyList<string> Names => ["kvasir"];

    public override string ReadyPath => "/ready";

    public override ImmutableArray<KvEventWire> Events => [KvEventWire.ZeroMq];

    public override string TokenizePath => "/tokenize";

    public override bool TokenizesMessages => true;

    /// <summary>Not the salt itself, which is a secret of its tenant, but the name that stands for it.</summary>
    public override string SaltInEvents(string salt)
    {
        var root = BlockHash.Root(Encoding.UTF8.GetBytes(salt)) & ~GroupBits;
        return new BlockKey((ulong)(root >> 64), (ulong)root).ToString();
    }

    public override EngineReading Read(PrometheusSamples samples) => new()
    {
        Running = samples.Sum("kvasir_num_requests_running"),
        Waiting = samples.Sum("kvasir_num_requests_waiting"),
        Unfinished = samples.Sum("kvasir_num_requests_running") + samples.Sum("kvasir_num_requests_waiting"),
        KvUsedRatio = samples.Mean("kvasir_kv_cache_usage_perc"),
        CapacityTokens = samples.Sum("kvasir_kv_cache_tokens"),
        BlockSize = BlockTokens,
        PrefixQueryTokens = samples.Sum("kvasir_prompt_tokens_total"),
        PrefixHitTokens = samples.Sum("kvasir_prompt_tokens_cached_total"),
        Preemptions = samples.Sum("kvasir_num_preemptions_total"),
    };
}
