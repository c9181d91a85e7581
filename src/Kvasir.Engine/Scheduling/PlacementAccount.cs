using System.Collections.Immutable;
using Kvasir.Engine.KvCache;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.Scheduling;

/// <summary>Books where a sequence's tokens were found each time it was placed. For one thread: the engine's.</summary>
internal sealed class PlacementAccount
{
    private TierTokens _cached, _restored;
    private MissedTokens _missed;
    private ImmutableArray<EvictedTokens> _evictions = [];
    private int _givenUp;
    private bool _isPlaced;

    /// <summary>It waited for another sequence that computed its beginning.</summary>
    public bool Awaited { get; set; }

    /// <summary>It waited because its tenant had its share of the KV cache.</summary>
    public bool HadItsShare { get; set; }

    /// <summary>Tokens were found.</summary>
    /// <param name="tokens">How many.</param>
    /// <param name="tier">Where.</param>
    /// <param name="again">Whether the sequence had given way before.</param>
    public void Found(int tokens, KvTier tier, bool again)
    {
        ref var found = ref again ? ref _restored : ref _cached;
        found = tier switch
        {
            KvTier.Device => found with { Device = found.Device + tokens },
            KvTier.Disk => found with { Disk = found.Disk + tokens },
            KvTier.Remote => found with { Remote = found.Remote + tokens },
            _ => found with { Host = found.Host + tokens },
        };
    }

    /// <summary>Why the rest of the prompt has to be computed.</summary>
    public void Missed(MissedTokens missed, ImmutableArray<EvictedTokens> evictions) =>
        (_missed, _evictions, _isPlaced) = (missed, evictions, true);

    /// <summary>The sequence gives way.</summary>
    /// <param name="computed">Tokens whose keys and values it gives up.</param>
    public void GaveWay(int computed) => _givenUp += computed;

    /// <summary>What is known by now.</summary>
    public RequestExplanation Explain(Sequence sequence, double queueSeconds, double prefillSeconds, double decodeSeconds)
    {
        var known = _cached.Total + _missed.New + _missed.Evicted + _missed.Salt + _missed.BelowBlock;
        return new RequestExplanation
        {
            Cached = _cached,
            Missed = _missed with { Lost = !_isPlaced || sequence.Table.Loadable > sequence.Table.Listed ? 0 : Math.Max(0, sequence.Request.Prompt.Length - known) },
            Evictions = _evictions,
            Awaited = Awaited,
            HadItsShare = HadItsShare,
            Preemptions = sequence.Preemptions,
            Restored = _restored,
            Recomputed = Math.Max(0, _givenUp - _restored.Total),
            QueueSeconds = queueSeconds,
            PrefillSeconds = prefillSeconds,
            DecodeSeconds = decodeSeconds,
        };
    }
}
