using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.KvCache.Tiers;

/// <summary>
/// The places of a tier below the device: which full block each holds, and which gives way first: those of a tenant that has
/// more than its share, those that are wanted less, those that were wanted longest ago. For one thread: the engine's.
/// </summary>
internal sealed class TierSlots
{
    /// <summary>Bytes of the books per place; one of them says where a block came from.</summary>
    public const int BytesPerSlot = BlockPool.BytesPerBlock + BlockIndex.BytesPerBlock + 16 + 1 + RetentionEviction.BytesPerBlock + TenantEviction.BytesPerBlock;

    private readonly BlockPool _pool;
    private readonly BlockIndex _index;
    private readonly RetentionEviction _retention;
    private readonly TenantEviction _tenants;

    /// <param name="slots">How many.</param>
    /// <param name="time">The clock; the system's when null.</param>
    /// <param name="tenantShare">Share of the places that one tenant's blocks may have while others have any.</param>
    public TierSlots(int slots, TimeProvider? time = null, double tenantShare = 1)
    {
        _retention = new RetentionEviction(new LruEviction(slots), slots, time ?? TimeProvider.System);
        _tenants = new TenantEviction(_retention, slots, tenantShare);
        (_pool, _index) = (new BlockPool(slots, _tenants), new BlockIndex(slots));
        _pool.Evicting = Unlist;
    }

    /// <summary>Told the name of each block that is here no longer.</summary>
    public Action<UInt128>? Left { get; set; }

    /// <summary>Places in all.</summary>
    public int Capacity => _pool.Capacity;

    /// <summary>Places that hold a block.</summary>
    public int Used => _pool.Idle;

    /// <summary>Blocks that gave way to others.</summary>
    public long Evictions => _pool.Evictions;

    /// <summary>The place of a block, −1 when it is not here.</summary>
    public int Find(UInt128 name, UInt128 parent, ReadOnlySpan<int> tokens) => _index.TryFind(name, parent, tokens, out var slot) ? slot : -1;

    /// <summary>Makes a place that holds a block the last to give way of those wanted as much.</summary>
    /// <param name="slot">The place.</param>
    /// <param name="retention">How long the block is wanted by who asks.</param>
    public void Touch(int slot, KvRetention? retention = null)
    {
        _pool.Share(slot);
        if (retention is not null) _retention.Retain(slot, retention);
        _pool.Return(slot, _index.NameOf(slot));
    }

    /// <summary>Keeps a place that holds a block from giving way until <see cref="Free"/>.</summary>
    public void Hold(int slot) => _pool.Share(slot);

    /// <summary>Ends a <see cref="Hold"/>; the place is the last to give way.</summary>
    public void Free(int slot) => _pool.Return(slot, _index.NameOf(slot));

    /// <summary>Whether nobody holds a place.</summary>
    public bool IsFree(int slot) => _pool.IsFree(slot);

    /// <summary>Takes a place to write to: an empty one, or that of the block that was wanted longest ago; −1 when all are taken.</summary>
    public int Take() => _pool.TryTake(out var slot) ? slot : -1;

    /// <summary>A place taken holds a block from now on; false, and the place is empty, when another holds it already.</summary>
    public bool Put(int slot, UInt128 name, UInt128 parent, ReadOnlySpan<int> tokens, in BlockClaim claim)
    {
        var added = _index.TryAdd(slot, name, parent, tokens);
        if (added)
        {
            _pool.Keep(slot);
            _retention.Retain(slot, claim.Retention);
            _tenants.Own(slot, claim.Owner);
        }
        _pool.Return(slot, name);
        return added;
    }

    /// <summary>A place taken goes back without contents.</summary>
    public void GiveBack(int slot) => _pool.Return(slot);

    /// <summary>Forgets what a place holds.</summary>
    public void Drop(int slot)
    {
        Unlist(slot);
        _pool.Empty(slot);
    }

    /// <summary>Deletes blocks by name, in all groups, or all without names.</summary>
    /// <param name="names">Their names; null for all.</param>
    /// <param name="drop">Empties a place.</param>
    /// <returns>How many there were.</returns>
    public int Delete(IReadOnlySet<UInt128>? names, Action<int> drop)
    {
        var deleted = 0;
        for (var slot = 0; slot < Capacity; slot++)
        {
            if (_index.CountOf(slot) == 0 || names?.Contains(KvGroups.Block(_index.NameOf(slot))) == false) continue;
            drop(slot);
            deleted++;
        }
        return deleted;
    }

    /// <summary>Forgets everything but the places taken.</summary>
    public void Clear()
    {
        for (var slot = 0; slot < Capacity; slot++)
            if (_index.CountOf(slot) > 0) Drop(slot);
    }

    /// <summary>Adds what is here to a list.</summary>
    public void AddEntries(KvTier tier, List<KvEntry> entries)
    {
        for (var slot = 0; slot < Capacity; slot++)
            if (_index.CountOf(slot) is > 0 and var tokens) entries.Add(KvEntry.Of(tier, _index.NameOf(slot), _index.ParentOf(slot), tokens));
    }

    /// <summary>Everything that is here, each block after the one it follows if that is here too.</summary>
    public List<PageLabel> Labels()
    {
        var labels = new Dictionary<UInt128, PageLabel>();
        for (var slot = 0; slot < Capacity; slot++)
            if (_index.CountOf(slot) > 0) labels.TryAdd(_index.NameOf(slot), new PageLabel(_index.NameOf(slot), _index.ParentOf(slot), _index.Tokens(slot).ToArray()));
        var (ordered, chain) = (new List<PageLabel>(labels.Count), new Stack<PageLabel>());
        foreach (var name in labels.Keys.ToArray())
        {
            for (var next = name; labels.Remove(next, out var label); next = label.Parent) chain.Push(label);
            while (chain.TryPop(out var label)) ordered.Add(label);
        }
        return ordered;
    }

    private void Unlist(int slot)
    {
        if (Left is not null && _index.CountOf(slot) > 0) Left(_index.NameOf(slot));
        _index.Remove(slot);
        _retention.Forget(slot);
    }
}
