using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Engine.Scheduling;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.Inspection;

/// <summary>Says where the KV cache's bytes are, and follows how they grow. For one thread: the engine's.</summary>
internal sealed class MemoryAccount
{
    /// <summary>Tiers below the device may hold a million blocks: who looks every second shall not make the engine count them each time.</summary>
    private static readonly TimeSpan BelowEvery = TimeSpan.FromSeconds(5);

    private readonly Scheduler _scheduler;
    private readonly PrefixCache _cache;
    private readonly BlockPool _pool;
    private readonly KvTiers? _tiers;
    private readonly TimeProvider _time;
    private readonly long _blockBytes, _pageBytes;
    private readonly GrowthWindow _held, _filled;
    private readonly (KvTier Tier, GrowthWindow Growth)[] _below;
    private Dictionary<(UInt128 Root, KvTier Tier), long> _tenantsBelow = [];
    private long _countedBelow;

    public MemoryAccount(Scheduler scheduler, PrefixCache cache, BlockPool pool, KvTiers? tiers, EngineMemoryPlan plan, TimeProvider time)
    {
        (_scheduler, _cache, _pool, _tiers, _time) = (scheduler, cache, pool, tiers, time);
        _blockBytes = plan.KvBlockBytes;
        _pageBytes = DiskPages.BytesPerPage((int)_blockBytes);
        (_held, _filled) = (new GrowthWindow(time), new GrowthWindow(time));
        _below = [.. (tiers?.States ?? []).Select(state => (Enum.Parse<KvTier>(state.Name, ignoreCase: true), new GrowthWindow(time)))];
        Sample();
    }

    /// <summary>After a step: notes how much is taken.</summary>
    public void Sample()
    {
        _held.Add((_pool.Capacity - _pool.Free) * _blockBytes);
        _filled.Add((_pool.Capacity - _pool.Free + _pool.Idle) * _blockBytes);
        for (var i = 0; i < _below.Length; i++) _below[i].Growth.Add(_tiers!.States[i].UsedBlocks * BytesIn(_below[i].Tier));
    }

    public MemoryReport Report(EngineSnapshot state)
    {
        Sample();
        return new MemoryReport { State = state, BlockBytes = _blockBytes, Tiers = Tiers(), Tenants = Tenants(), Requests = Requests() };
    }

    private ImmutableArray<TierUse> Tiers()
    {
        var (held, pinned, idle) = (_pool.Capacity - _pool.Free, _cache.Records.Pinned, _pool.Idle);
        var tiers = ImmutableArray.CreateBuilder<TierUse>();
        tiers.Add(new TierUse(KvTier.Device, _pool.Capacity * _blockBytes, (held - pinned) * _blockBytes, pinned * _blockBytes, idle * _blockBytes,
            _held.BytesPerSecond(), _held.SecondsUntilFull(_pool.Free * _blockBytes), _filled.SecondsUntilFull((_pool.Free - idle) * _blockBytes)));
        for (var i = 0; i < _below.Length; i++)
        {
            var (state, (tier, growth)) = (_tiers!.States[i], _below[i]);
            var bytes = BytesIn(tier);
            var full = growth.SecondsUntilFull((state.Blocks - state.UsedBlocks) * bytes);
            tiers.Add(new TierUse(tier, state.Blocks * bytes, 0, 0, state.UsedBlocks * bytes, growth.BytesPerSecond(), full, full));
        }
        return tiers.ToImmutable();
    }

    private ImmutableArray<RequestUse> Requests()
    {
        var requests = ImmutableArray.CreateBuilder<RequestUse>();
        foreach (var sequence in _scheduler.All)
        {
            var (own, shared) = (0L, 0L);
            foreach (var block in sequence.Table.AllHeld())
                if (_pool.Holders(block) > 1) shared += _blockBytes; else own += _blockBytes;
            requests.Add(new RequestUse(sequence.Request.Id, TenantName.Of(sequence.Table.Root), sequence.Table.Held > 0, sequence.Request.Prompt.Length, sequence.Cached,
                sequence.Generated, own, shared, _time.GetElapsedTime(sequence.Submitted).TotalSeconds, sequence.Preemptions));
        }
        return requests.ToImmutable();
    }

    private ImmutableArray<TenantUse> Tenants()
    {
        CountBelow();
        var blocks = new Dictionary<UInt128, (int InUse, int Pinned, int Cached)>();
        for (var block = 0; block < _pool.Capacity; block++)
        {
            if (_cache.CountOf(block) == 0) continue;
            ref var tenant = ref CollectionsMarshal.GetValueRefOrAddDefault(blocks, _cache.Records.RootOf(block), out _);
            if (_pool.Holders(block) == 0) tenant.Cached++;
            else if (_cache.Records.Pins(block) > 0) tenant.Pinned++;
            else tenant.InUse++;
        }
        // Blocks that are being filled are in no list yet; nobody shares them.
        foreach (var sequence in _scheduler.All)
            foreach (var block in sequence.Table.AllHeld())
                if (_cache.CountOf(block) == 0) CollectionsMarshal.GetValueRefOrAddDefault(blocks, sequence.Table.Root, out _).InUse++;
        return [.. blocks.Keys.Union(_tenantsBelow.Keys.Select(key => key.Root)).GroupBy(root => root == default ? TenantName.Unknown : TenantName.Of(root))
            .Select(roots => new TenantUse(roots.Key, Sum(roots, part => part.InUse), Sum(roots, part => part.Pinned), Sum(roots, part => part.Cached), Below(roots, KvTier.Host), Below(roots, KvTier.Disk)))
            .OrderByDescending(tenant => tenant.InUseBytes + tenant.PinnedBytes + tenant.CachedBytes).ThenBy(tenant => tenant.Tenant, StringComparer.Ordinal)];

        long Sum(IEnumerable<UInt128> roots, Func<(int InUse, int Pinned, int Cached), int> part) => roots.Sum(root => part(blocks.GetValueOrDefault(root)) * _blockBytes);
        long Below(IEnumerable<UInt128> roots, KvTier tier) => roots.Sum(root => _tenantsBelow.GetValueOrDefault((root, tier)) * BytesIn(tier));
    }

    private void CountBelow()
    {
        if (_tiers is null || (_countedBelow != 0 && _time.GetElapsedTime(_countedBelow) < BelowEvery)) return;
        _countedBelow = _time.GetTimestamp();
        var entries = _cache.Entries();
        var roots = new RootSearch(entries, _cache.Records.Roots);
        _tenantsBelow = entries.Where(entry => entry.Tier != KvTier.Device).GroupBy(entry => (roots.Of(entry), entry.Tier)).ToDictionary(group => group.Key, group => group.LongCount());
    }

    private long BytesIn(KvTier tier) => tier == KvTier.Disk ? _pageBytes : _blockBytes;
}
