using System.Collections.Immutable;

namespace Kvasir.Engine.KvCache;

/// <summary>Why tokens are not here.</summary>
internal sealed partial class PrefixCache
{
    /// <summary>Told of blocks that left the device because their room was needed.</summary>
    public Action<BlockEviction>? Evicted { get; set; }

    /// <summary>Why the tokens after those that a placed sequence found are not here.</summary>
    /// <param name="table">The sequence's table, placed.</param>
    /// <param name="tokens">Its tokens.</param>
    /// <param name="cached">How many the device held.</param>
    /// <param name="isSalted">Whether the sequence has a salt.</param>
    /// <param name="wasKnown">Whether its salt was heard of before.</param>
    public (MissedTokens Missed, ImmutableArray<EvictedTokens> Evictions) Explain(BlockTable table, ReadOnlySpan<int> tokens, int cached, bool isSalted, bool wasKnown)
    {
        var full = tokens.Length / BlockTokens;
        var found = Math.Max(cached, table.Loadable * BlockTokens);
        var evictions = ImmutableArray.CreateBuilder<EvictedTokens>();
        var (fresh, evicted) = (0, 0);
        // A block that is here although one before it left is of no use: it counts with that one.
        for (var (i, last) = (found / BlockTokens, default((double Ago, EvictionReason Reason)?)); i < full; i++)
        {
            var missing = Math.Min((i + 1) * BlockTokens, tokens.Length - 1) - Math.Max(found, i * BlockTokens);
            if (missing <= 0) continue;
            if (HasLeft(table.Name(i, tokens), out var ago, out var reason)) last = (Math.Round(ago.TotalSeconds, 3), reason);
            else if (!Has(table, tokens, 0, i, below: false)) last = null;
            if (last is not { } eviction)
            {
                fresh += missing;
                continue;
            }
            evicted += missing;
            if (evictions.Count > 0 && evictions[^1] is var before && before.Reason == eviction.Reason && Math.Abs(before.SecondsAgo - eviction.Ago) < 1) evictions[^1] = before with { Tokens = before.Tokens + missing };
            else evictions.Add(new EvictedTokens(missing, eviction.Ago, eviction.Reason));
        }
        var below = tokens.Length - found - fresh - evicted;
        return isSalted && !wasKnown && found == 0 ? (new MissedTokens(0, 0, fresh, below, 0), []) : (new MissedTokens(fresh, evicted, 0, below, 0), evictions.ToImmutable());
    }

    private bool HasLeft(UInt128 name, out TimeSpan ago, out EvictionReason reason)
    {
        (ago, reason) = default((TimeSpan, EvictionReason));
        for (var group = 0; group < _groups.Count; group++)
            if (_left.TryFind(KvGroups.Name(name, group), out ago, out reason)) return true;
        return false;
    }

    private void NoteLeft(int block, EvictionReason reason)
    {
        if (_index.CountOf(block) == BlockTokens) _left.Add(_index.NameOf(block), reason);
        if (reason == EvictionReason.Room && _index.CountOf(block) > 0) Evicted?.Invoke(new BlockEviction(_records.Idle(block).TotalSeconds, _records.Age(block).TotalSeconds));
    }
}

/// <summary>A block left the device because its room was needed.</summary>
/// <param name="IdleSeconds">Since a request left it.</param>
/// <param name="LifetimeSeconds">Since it was filled.</param>
public readonly record struct BlockEviction(double IdleSeconds, double LifetimeSeconds);
