using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.KvCache;

/// <summary>What became of a sequence that asked for its blocks.</summary>
internal enum Placement
{
    /// <summary>It has them.</summary>
    Placed,
    /// <summary>Another sequence computes what it needs at this moment, or it is being fetched; it shall ask again.</summary>
    Awaits,
    /// <summary>There are not enough free blocks.</summary>
    NoRoom,
}

/// <summary>
/// Shares KV blocks between sequences whose text begins alike: what has been computed once, by a sequence that still runs
/// or one long gone, is not computed again while memory lasts. For one thread: the engine's.
/// </summary>
internal sealed partial class PrefixCache
{
    /// <summary>Blocks of a sequence that are read before they are loaded.</summary>
    private const int ReadAhead = 64;

    /// <summary>Seconds that a sequence waits for the disk at least, and at most, before it computes.</summary>
    private const double ShortestWait = 0.25, LongestWait = 60;

    private static readonly KvRetention Passed = new(KvRetention.NormalPriority - 1, KvRetention.MostTime);

    private readonly BlockPool _pool;
    private readonly KvGroups _groups;
    private readonly BlockIndex _index;
    private readonly Action<int, int> _copy;
    private readonly Action<BlockTable, int> _leave;
    private readonly Dictionary<UInt128, BlockTable> _announced = [];
    private readonly KvTiers? _tiers;
    private readonly KvEventLog? _events;
    private readonly Queue<int> _released = new();
    private readonly bool[] _isReleased;
    private readonly BlockRecords _records;
    private readonly EvictionRecord _left;
    private readonly RetentionEviction? _retention;
    private readonly TenantEviction? _tenants;
    private readonly KvWriteFilter _writes;
    private readonly TimeProvider _time;

    /// <param name="pool">The blocks.</param>
    /// <param name="groups">How layers share them.</param>
    /// <param name="copy">Copies the contents of a block (first) to another (second), in all layers, before it returns.</param>
    /// <param name="tiers">Where blocks go that find no place here; null for nowhere.</param>
    /// <param name="events">Told of full blocks that come and go; null for nobody.</param>
    /// <param name="time">The clock; the system's when null.</param>
    /// <param name="retention">The part of the pool's policy that takes hints, where there is one.</param>
    /// <param name="tenants">The part of it that knows tenants.</param>
    /// <param name="writes">Which blocks go to disk and server.</param>
    public PrefixCache(BlockPool pool, KvGroups groups, Action<int, int> copy, KvTiers? tiers = null, KvEventLog? events = null, TimeProvider? time = null,
        RetentionEviction? retention = null, TenantEviction? tenants = null, KvWriteFilter writes = KvWriteFilter.All)
    {
        (_groups, _retention, _tenants, _writes, _time) = (groups, retention, tenants, writes, time ?? TimeProvider.System);
        (_records, _left) = (new BlockRecords(pool.Capacity, _time), new EvictionRecord(pool.Capacity, _time));
        (_pool, _copy, _index, _tiers, _events) = (pool, copy, new BlockIndex(pool.Capacity, groups.BlockTokens), tiers, events);
        _isReleased = new bool[tiers is null ? 0 : pool.Capacity];
        _leave = LeaveBehind;
        pool.Evicting = Evict;
        foreach (var root in tiers?.RestoredRoots ?? new HashSet<UInt128>()) _records.Hear(root);
    }

    /// <summary>How layers share blocks.</summary>
    public KvGroups Groups => _groups;

    private int BlockTokens => _groups.BlockTokens;

    /// <summary>Bytes per block that pool, index and eviction policy take beside the keys and values.</summary>
    public static long BytesPerBlock(EvictionKind eviction) => BlockPool.BytesPerBlock + BlockIndex.BytesPerBlock + BlockRecords.BytesPerBlock + EvictionRecord.BytesPerBlock + EvictionPolicies.BytesPerBlock(eviction) + RetentionEviction.BytesPerBlock + TenantEviction.BytesPerBlock;

    /// <summary>Gives a sequence without blocks those for its tokens and <paramref name="reserve"/> more, shared where they exist.</summary>
    /// <param name="table">The sequence's table, empty.</param>
    /// <param name="tokens">All its tokens; at least the last one is left to compute.</param>
    /// <param name="reserve">Further tokens that must fit.</param>
    /// <param name="reuse">False computes everything anew.</param>
    /// <param name="cached">Tokens whose keys and values the blocks hold already.</param>
    /// <param name="spare">Blocks that must be free after that.</param>
    public Placement Place(BlockTable table, ReadOnlySpan<int> tokens, int reserve, bool reuse, out int cached, int spare = 0)
    {
        cached = 0;
        var shared = reuse ? Match(table, tokens, 0, below: false) : 0;
        if (reuse && (IsAwaited(table, tokens, shared) || IsFetching(table, tokens, shared))) return Placement.Awaits;
        var loadable = reuse ? Below(table, tokens, shared) : shared;
        var room = Room(table, tokens, shared, loadable, reserve);
        // While what a window needs after loading comes, what it needs before stays too: room for both may be missing.
        if (room < spare && _groups.HasWindows && loadable > shared) room = Room(table, tokens, shared, loadable = shared, reserve);
        if (room < spare) return Placement.NoRoom;
        for (var group = 0; group < _groups.Count; group++)
            for (var i = _groups.First(group, shared * BlockTokens); i < shared; i++) Share(table, tokens, group, i);
        (table.Listed, table.Loaded, table.Loadable) = (shared, shared, loadable);
        cached = shared * BlockTokens;
        var sources = new int[reuse && loadable == shared ? _groups.Count : 0];
        var start = Start(table, tokens, shared, sources);
        if (start > 0 && sources.Count(_pool.IsFree) > room) start = 0;
        if (start == 0) sources = [];
        foreach (var source in sources) _pool.Share(source);
        for (var group = 0; group < _groups.Count; group++)
            table.Fill(group, Math.Max(shared, _groups.First(group, loadable * BlockTokens)), _groups.End(group, tokens.Length + reserve, loadable * BlockTokens));
        for (var group = 0; group < sources.Length; group++)
        {
            _copy(sources[group], table.Blocks(group)[shared]);
            _pool.Return(sources[group], _index.NameOf(sources[group]));
        }
        cached += start;
        Announce(table, tokens);
        return Placement.Placed;
    }

    /// <summary>Gives a sequence the blocks for so many tokens, as <see cref="BlockTable.TryGrow"/> does, after those that windows have passed went back.</summary>
    public bool TryGrow(BlockTable table, int tokens, int computed)
    {
        if (_groups.HasWindows) table.Pass(computed, _leave);
        return table.TryGrow(tokens, computed);
    }

    /// <summary>Where the block was that was loaded last.</summary>
    public KvTier LoadedFrom { get; private set; }

    /// <summary>Loads the next of a sequence's blocks that a tier holds, or shares it where it is here.</summary>
    /// <returns>Whether it is loaded; pending while it is being read, unless that takes longer than computing would; gone when it is missing or damaged, and the sequence computes the rest.</returns>
    public LoadOutcome Load(BlockTable table, ReadOnlySpan<int> tokens)
    {
        BeginReading(table, tokens);
        var i = table.Loaded;
        LoadedFrom = KvTier.Device;
        for (; table.LoadedGroups < _groups.Count; table.LoadedGroups++)
        {
            if (!table.TryGet(table.LoadedGroups, i, out var block)) continue;
            var outcome = Load(table, tokens, table.LoadedGroups, i, block);
            if (outcome == LoadOutcome.Loaded) continue;
            if (outcome == LoadOutcome.Pending && !IsLate(table)) return outcome;
            table.Loaded = table.Loadable = table.Listed;
            _tiers!.Abandon(table);
            return LoadOutcome.Gone;
        }
        (table.Loaded, table.LoadedGroups) = (i + 1, 0);
        // A window needs the last of the blocks, so that none counts before all are there.
        if (!_groups.HasWindows || table.Loaded == table.Loadable) List(table, tokens[..(table.Loaded * BlockTokens)]);
        return LoadOutcome.Loaded;
    }

    private LoadOutcome Load(BlockTable table, ReadOnlySpan<int> tokens, int group, int index, int block)
    {
        var label = table.Label(group, index, tokens);
        if (_index.TryFind(label, out var same))
        {
            _tiers!.Abandon(block);
            if (_groups.HasWindows) _copy(same, block);
            return LoadOutcome.Loaded;
        }
        var outcome = _tiers!.TryLoad(label, block, table);
        if (outcome == LoadOutcome.Loaded) LoadedFrom = _tiers.LoadedFrom;
        return outcome;
    }

    /// <summary>Lets the disk read ahead of what is loaded.</summary>
    private void BeginReading(BlockTable table, ReadOnlySpan<int> tokens)
    {
        table.Begun = Math.Max(table.Begun, table.Loaded);
        for (; table.Begun < Math.Min(table.Loadable, table.Loaded + ReadAhead); table.Begun++)
        {
            for (var group = 0; group < _groups.Count; group++)
            {
                if (!table.TryGet(group, table.Begun, out var block)) continue;
                var label = table.Label(group, table.Begun, tokens);
                if (!_index.TryFind(label, out _)) _tiers!.Begin(label, block, table);
            }
        }
    }

    /// <summary>Whether waiting for what is read has taken longer than computing it would.</summary>
    private bool IsLate(BlockTable table)
    {
        var now = _time.GetTimestamp();
        if (table.WaitsUntil == 0)
        {
            var compute = _tiers!.ComputeSecondsPerToken * _groups.Count * BlockTokens * (table.Loadable - table.Loaded);
            table.WaitsUntil = now + (long)((compute == 0 ? LongestWait : Math.Clamp(compute, ShortestWait, LongestWait)) * _time.TimestampFrequency);
        }
        return now > table.WaitsUntil;
    }

    /// <summary>Tells how long a prompt's token takes to compute.</summary>
    public void TimePrompt(double secondsPerToken)
    {
        if (_tiers is null) return;
        var before = _tiers.ComputeSecondsPerToken;
        // The blocks of all groups together spare a block's tokens.
        var each = secondsPerToken / _groups.Count;
        _tiers.ComputeSecondsPerToken = before == 0 ? each : before + (0.1 * (each - before));
    }

    /// <summary>Between steps: hands blocks that requests have left to the tiers, as many as those take now.</summary>
    /// <returns>Whether there is more to hand over, or some is on its way.</returns>
    public bool Save()
    {
        if (_tiers is null) return false;
        _tiers.Collect();
        while (_released.Count > 0 && _tiers.HasRoomForReleased) SaveOne(_released.Dequeue());
        if (!_tiers.TakesReleased) _released.Clear();
        return _released.Count > 0 || _tiers.IsWriting;
    }

    /// <summary>The device is about to give up everything: what goes to disk and server when it gives way is handed over by <see cref="Save"/> from now on.</summary>
    public void BeginLeaving()
    {
        if (_tiers is not { TakesReleased: true } || _writes != KvWriteFilter.Evicted) return;
        for (var block = 0; block < _pool.Capacity; block++) NoteReleased(block);
    }

    /// <summary>Lists the blocks that the sequence's computed tokens have filled; one that exists already takes the place of its like.</summary>
    /// <param name="table">The sequence's table.</param>
    /// <param name="computed">Its tokens as far as keys and values are there.</param>
    public void List(BlockTable table, ReadOnlySpan<int> computed)
    {
        var full = computed.Length / BlockTokens;
        if (table.IsDisowned || table.Listed >= full) return;
        for (var group = 0; group < _groups.Count; group++)
            for (var i = table.Listed; i < full; i++)
                if (table.TryGet(group, i, out var block)) List(table, computed, group, i, block);
        for (; table.Listed < full; table.Listed++) Withdraw(table, table.Name(table.Listed, computed));
        table.Loaded = Math.Max(table.Loaded, full);
    }

    private void List(BlockTable table, ReadOnlySpan<int> computed, int group, int index, int block)
    {
        var label = table.Label(group, index, computed);
        if (_index.TryFind(label, out var same))
        {
            _pool.Share(same);
            table.Replace(group, index, same);
            return;
        }
        DropStart(label.Parent, label.Tokens);
        if (!_index.TryAdd(block, label.Name, label.Parent, label.Tokens)) return;
        Keep(table, block);
        _events?.Stored(label.Name, label.Parent, label.Tokens, KvTier.Device, index == 0 ? table.Root : null);
    }

    /// <summary>A sequence gives its blocks back. What they hold stays until the room is needed, its end going first.</summary>
    /// <param name="table">The sequence's table.</param>
    /// <param name="computed">Its tokens as far as keys and values are there.</param>
    public void Release(BlockTable table, ReadOnlySpan<int> computed)
    {
        if (table.Held > 0 && !table.IsDisowned)
        {
            List(table, computed);
            var (full, rest) = (computed.Length / BlockTokens, computed.Length % BlockTokens);
            for (var group = 0; group < _groups.Count; group++)
            {
                if (rest > 0 && table.TryGet(group, full, out var end)) KeepEnd(table, group, full, end, computed[^rest..]);
                for (var i = 0; i < table.Listed; i++)
                    if (table.TryGet(group, i, out var block)) Leave(table, block);
            }
        }
        for (var i = table.Announced.From; i < table.Announced.To; i++) Withdraw(table, table.Parent(i + 1));
        table.Announced = default;
        if (_tiers is { TakesReleased: true } && _writes != KvWriteFilter.Evicted) NoteReleased(table);
        if (table.Loaded < table.Loadable) _tiers!.Abandon(table);
        table.Clear();
    }

    /// <summary>Forgets all that no sequence holds.</summary>
    /// <returns>Blocks emptied.</returns>
    public int Clear()
    {
        var emptied = 0;
        for (var block = 0; block < _pool.Capacity; block++)
        {
            if (_index.CountOf(block) == 0 || !_pool.IsFree(block)) continue;
            Drop(block);
            emptied++;
        }
        _tiers?.Clear();
        return emptied;
    }

    /// <summary>Moves everything to the tiers below, as far as these have room, and forgets it here; pins end. Nobody may hold a block.</summary>
    public void Vacate()
    {
        while (_pins.Count > 0) Unpin(_pins[^1].Name);
        var taken = new List<int>(_pool.Capacity);
        // What is taken gives way in the order of eviction.
        while (_pool.TryTake(out var block)) taken.Add(block);
        foreach (var block in taken) _pool.Return(block);
    }

    private void Evict(int block)
    {
        if (_tiers is not null && _index.CountOf(block) == BlockTokens)
        {
            if ((_isReleased[block] || _writes == KvWriteFilter.Evicted) && _tiers.HasRoomForReleased) SaveOne(block);
            _tiers.StoreEvicted(block, _index.NameOf(block), _index.ParentOf(block), _index.Tokens(block), Claim(block));
        }
        NoteLeft(block, EvictionReason.Room);
        Unlist(block);
    }

    /// <summary>A sequence gives a listed block back.</summary>
    private void Leave(BlockTable table, int block)
    {
        _records.Use(block);
        _retention?.Retain(block, table.Retention);
    }

    /// <summary>A window has passed a listed block: nobody needs it but a text that parts from this one there. Unless there were such, it goes first.</summary>
    private void LeaveBehind(BlockTable table, int block)
    {
        var isWanted = _records.Uses(block) > 0 || _left.TryFind(_index.NameOf(block), out _, out _);
        _records.Use(block);
        _retention?.Retain(block, table.Retention ?? (isWanted ? null : Passed));
    }

    private BlockClaim Claim(int block) => new(_records.RootOf(block), _tenants?.OwnerOf(block) ?? 0, _retention?.HintOf(block));

    private void NoteReleased(BlockTable table)
    {
        for (var i = 0; i < table.Listed; i++)
        {
            for (var group = 0; group < _groups.Count; group++)
            {
                if (table.TryGet(group, i, out var block) && (_writes == KvWriteFilter.All || _records.Uses(block) > 1)) NoteReleased(block);
            }
        }
    }

    private void NoteReleased(int block)
    {
        if (_isReleased[block] || _index.CountOf(block) < BlockTokens) return;
        _isReleased[block] = true;
        _released.Enqueue(block);
    }

    private void SaveOne(int block)
    {
        // It may hold something else by now, which is as good, or nothing.
        _isReleased[block] = false;
        if (_index.CountOf(block) == BlockTokens) _tiers!.StoreReleased(block, _index.NameOf(block), _index.ParentOf(block), _index.Tokens(block), Claim(block));
    }

    /// <summary>Full blocks that are shared or that the tiers hold, or the device beyond a gap that the tiers fill. They become the last to give way there, the first of them last of all.</summary>
    private int Below(BlockTable table, ReadOnlySpan<int> tokens, int shared)
    {
        if (_tiers is null) return shared;
        var end = Match(table, tokens, shared, below: true);
        for (var i = end - 1; i >= shared; i--)
        {
            for (var group = 0; group < _groups.Count; group++)
            {
                var label = table.Label(group, i, tokens);
                _tiers.Touch(label.Name, label.Parent, label.Tokens);
            }
        }
        return end;
    }

    /// <summary>Asks once for what no tier here holds, and tells whether it is on its way.</summary>
    private bool IsFetching(BlockTable table, ReadOnlySpan<int> tokens, int shared)
    {
        if (_tiers is not { HasRemote: true }) return false;
        if (!table.HasAsked)
        {
            table.HasAsked = true;
            var wanted = new List<PageLabel>();
            for (var i = Below(table, tokens, shared); (i + 1) * BlockTokens < tokens.Length && wanted.Count < _tiers.MostFetched; i++)
            {
                for (var group = 0; group < _groups.Count; group++)
                {
                    var label = table.Label(group, i, tokens);
                    wanted.Add(new PageLabel(label.Name, label.Parent, label.Tokens.ToArray(), new BlockClaim(table.Root, table.Owner, table.Retention)));
                }
            }
            table.Fetch = _tiers.Fetch(wanted);
        }
        return table.Fetch is { IsDone: false };
    }

    /// <summary>Blocks, from the first, after which a sequence can go on: all of them exist, of groups with a window those that the next token sees.</summary>
    /// <param name="table">The sequence's table.</param>
    /// <param name="tokens">Its tokens, of which the last is not looked for.</param>
    /// <param name="from">So many are known to be enough.</param>
    /// <param name="below">Whether it suffices that a tier has a block.</param>
    private int Match(BlockTable table, ReadOnlySpan<int> tokens, int from, bool below)
    {
        var end = (tokens.Length - 1) / BlockTokens;
        for (var group = 0; group < _groups.Count && !_groups.IsWindowed(group); group++)
        {
            var i = from;
            while (i < end && Has(table, tokens, group, i, below)) i++;
            end = i;
        }
        for (var before = -1; before != end && end > from;)
        {
            before = end;
            for (var group = 0; group < _groups.Count; group++)
            {
                if (!_groups.IsWindowed(group)) continue;
                for (var i = end - 1; i >= _groups.First(group, end * BlockTokens) && end > from; i--)
                    if (!Has(table, tokens, group, i, below)) end = i;
            }
        }
        return Math.Max(from, end);
    }

    private bool Has(BlockTable table, ReadOnlySpan<int> tokens, int group, int index, bool below)
    {
        var label = table.Label(group, index, tokens);
        return _index.TryFind(label, out _) || (below && _tiers!.Has(label.Name, label.Parent, label.Tokens));
    }

    /// <summary>Blocks that are free beside those that a placement takes. Such as are shared cannot be taken too.</summary>
    private int Room(BlockTable table, ReadOnlySpan<int> tokens, int shared, int loadable, int reserve)
    {
        var room = _pool.Free;
        for (var group = 0; group < _groups.Count; group++)
        {
            for (var i = _groups.First(group, shared * BlockTokens); i < shared; i++)
                if (_pool.IsFree(Found(table, tokens, group, i))) room--;
            room -= Math.Max(0, _groups.End(group, tokens.Length + reserve, loadable * BlockTokens) - Math.Max(shared, _groups.First(group, loadable * BlockTokens)));
        }
        return room;
    }

    private bool IsAwaited(BlockTable table, ReadOnlySpan<int> tokens, int shared) =>
        (shared + 1) * BlockTokens <= tokens.Length && _announced.ContainsKey(table.Name(shared, tokens));

    private void Share(BlockTable table, ReadOnlySpan<int> tokens, int group, int index)
    {
        var block = Found(table, tokens, group, index);
        _pool.Share(block);
        table.Put(group, index, block);
    }

    private int Found(BlockTable table, ReadOnlySpan<int> tokens, int group, int index) =>
        _index.TryFind(table.Label(group, index, tokens), out var block) ? block : throw new InvalidOperationException("A block that was found is gone.");

    /// <summary>The blocks, one of each group, that begin with most of what comes after the shared ones.</summary>
    private int Start(BlockTable table, ReadOnlySpan<int> tokens, int shared, Span<int> sources)
    {
        var from = shared * BlockTokens;
        var count = sources.Length == 0 ? 0 : BlockTokens;
        for (var group = 0; group < sources.Length; group++)
            count = Math.Min(count, _index.LongestStart(KvGroups.Name(table.Parent(shared), group), tokens[from..Math.Min(tokens.Length - 1, from + BlockTokens)], out sources[group]));
        return count;
    }

    private void Announce(BlockTable table, ReadOnlySpan<int> tokens)
    {
        var full = tokens.Length / BlockTokens;
        for (var i = table.Listed; i < full; i++) _announced.TryAdd(table.Name(i, tokens), table);
        table.Announced = (table.Listed, Math.Max(table.Listed, full));
    }

    private void Withdraw(BlockTable table, UInt128 name)
    {
        if (_announced.TryGetValue(name, out var owner) && owner == table) _announced.Remove(name);
    }

    private void KeepEnd(BlockTable table, int group, int index, int block, ReadOnlySpan<int> tokens)
    {
        var parent = KvGroups.Name(table.Parent(index), group);
        if (_index.LongestStart(parent, tokens, out _) == tokens.Length) return;
        DropStart(parent, tokens);
        if (!_index.TryAdd(block, default, parent, tokens)) return;
        Keep(table, block);
        _retention?.Retain(block, table.Retention);
    }

    private void Keep(BlockTable table, int block)
    {
        _pool.Keep(block);
        _records.List(block, table.Root);
        _tenants?.Own(block, table.Owner);
    }

    /// <summary>A block that is not full is of no use once another holds its tokens and more.</summary>
    private void DropStart(UInt128 parent, ReadOnlySpan<int> tokens)
    {
        if (_index.PartialStart(parent, tokens) is var block and >= 0 && _pool.IsFree(block)) Drop(block);
    }

    private void Drop(int block)
    {
        Unlist(block);
        _pool.Empty(block);
    }

    private void Unlist(int block)
    {
        if (_events is not null && _index.CountOf(block) == BlockTokens) _events.Removed(_index.NameOf(block), KvTier.Device);
        _index.Remove(block);
        _retention?.Forget(block);
    }
}
