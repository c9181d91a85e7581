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
    private const int BlockTokens = BlockTable.BlockTokens;

    private readonly BlockPool _pool;
    private readonly BlockIndex _index;
    private readonly Action<int, int> _copy;
    private readonly Dictionary<UInt128, BlockTable> _announced = [];
    private readonly KvTiers? _tiers;
    private readonly KvEventLog? _events;
    private readonly Queue<int> _released = new();
    private readonly bool[] _isReleased;
    private readonly BlockRecords _records;
    private readonly EvictionRecord _left;
    private readonly RetentionEviction? _retention;

    /// <param name="pool">The blocks.</param>
    /// <param name="copy">Copies the contents of a block (first) to another (second), in all layers, before it returns.</param>
    /// <param name="tiers">Where blocks go that find no place here; null for nowhere.</param>
    /// <param name="events">Told of full blocks that come and go; null for nobody.</param>
    /// <param name="time">The clock; the system's when null.</param>
    /// <param name="retention">The pool's policy, where it takes hints.</param>
    public PrefixCache(BlockPool pool, Action<int, int> copy, KvTiers? tiers = null, KvEventLog? events = null, TimeProvider? time = null, RetentionEviction? retention = null)
    {
        _retention = retention;
        (_records, _left) = (new BlockRecords(pool.Capacity, time ?? TimeProvider.System), new EvictionRecord(pool.Capacity, time ?? TimeProvider.System));
        (_pool, _copy, _index, _tiers, _events) = (pool, copy, new BlockIndex(pool.Capacity), tiers, events);
        _isReleased = new bool[tiers is null ? 0 : pool.Capacity];
        pool.Evicting = Evict;
    }

    /// <summary>Bytes per block that pool, index and eviction policy take beside the keys and values.</summary>
    public static long BytesPerBlock(EvictionKind eviction) => BlockPool.BytesPerBlock + BlockIndex.BytesPerBlock + BlockRecords.BytesPerBlock + EvictionRecord.BytesPerBlock + EvictionPolicies.BytesPerBlock(eviction) + RetentionEviction.BytesPerBlock;

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
        var (shared, idle) = reuse ? Match(table, tokens) : (0, 0);
        if (reuse && (IsAwaited(table, tokens, shared) || IsFetching(table, tokens, shared))) return Placement.Awaits;
        // Blocks that are shared cannot be taken too, nor the one that is copied from.
        var room = _pool.Free - idle - (BlockTable.BlocksFor(tokens.Length + reserve) - shared);
        if (room < spare) return Placement.NoRoom;
        for (var i = 0; i < shared; i++) Share(table, tokens, i);
        table.Listed = shared;
        cached = shared * BlockTokens;
        table.Loadable = shared + (reuse ? Below(table, tokens, shared) : 0);
        var (source, start) = reuse && table.Loadable == shared ? Start(table, tokens, shared) : (-1, 0);
        if (start > 0 && _pool.IsFree(source) && room == 0) start = 0;
        if (start > 0) _pool.Share(source);
        if (!table.TryGrow(tokens.Length + reserve)) throw new InvalidOperationException("The pool broke its word about free blocks.");
        if (start > 0)
        {
            _copy(source, table.Blocks[shared]);
            _pool.Return(source, _index.NameOf(source));
            cached += start;
        }
        Announce(table, tokens);
        return Placement.Placed;
    }

    /// <summary>Where the block was that was loaded last.</summary>
    public KvTier LoadedFrom { get; private set; }

    /// <summary>Loads the next of a sequence's blocks that a tier holds, or shares it where it is here.</summary>
    /// <returns>False when it is gone or damaged: the sequence computes the rest.</returns>
    public bool Load(BlockTable table, ReadOnlySpan<int> tokens)
    {
        var i = table.Listed;
        var name = table.Name(i, tokens);
        var own = tokens.Slice(i * BlockTokens, BlockTokens);
        var isHere = _index.TryFind(name, table.Parent(i), own, out _);
        if (isHere || _tiers!.TryLoad(name, table.Parent(i), own, table.Blocks[i]))
        {
            LoadedFrom = isHere ? KvTier.Device : _tiers!.LoadedFrom;
            List(table, tokens[..((i + 1) * BlockTokens)]);
            return true;
        }
        table.Loadable = i;
        return false;
    }

    /// <summary>Tells how long a prompt's token takes to compute.</summary>
    public void TimePrompt(double secondsPerToken)
    {
        if (_tiers is null) return;
        var before = _tiers.ComputeSecondsPerToken;
        _tiers.ComputeSecondsPerToken = before == 0 ? secondsPerToken : before + (0.1 * (secondsPerToken - before));
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

    /// <summary>Lists the blocks that the sequence's computed tokens have filled; one that exists already takes the place of its like.</summary>
    /// <param name="table">The sequence's table.</param>
    /// <param name="computed">Its tokens as far as keys and values are there.</param>
    public void List(BlockTable table, ReadOnlySpan<int> computed)
    {
        if (table.IsDisowned) return;
        for (; (table.Listed + 1) * BlockTokens <= computed.Length; table.Listed++)
        {
            var i = table.Listed;
            var name = table.Name(i, computed);
            var block = table.Blocks[i];
            var tokens = computed.Slice(i * BlockTokens, BlockTokens);
            if (_index.TryFind(name, table.Parent(i), tokens, out var same))
            {
                _pool.Share(same);
                table.Replace(i, same);
            }
            else
            {
                DropStart(table.Parent(i), tokens);
                if (_index.TryAdd(block, name, table.Parent(i), tokens))
                {
                    _pool.Keep(block);
                    _records.List(block, table.Root);
                    _events?.Stored(name, table.Parent(i), tokens, KvTier.Device, i == 0 ? table.Root : null);
                }
            }
            Withdraw(table, name);
        }
    }

    /// <summary>A sequence gives its blocks back. What they hold stays until the room is needed, its end going first.</summary>
    /// <param name="table">The sequence's table.</param>
    /// <param name="computed">Its tokens as far as keys and values are there.</param>
    public void Release(BlockTable table, ReadOnlySpan<int> computed)
    {
        if (table.Count > 0 && !table.IsDisowned)
        {
            List(table, computed);
            var (full, rest) = (computed.Length / BlockTokens, computed.Length % BlockTokens);
            if (rest > 0) KeepEnd(table, full, computed[^rest..]);
            _records.Use(table.Blocks);
            for (var i = 0; i < table.Listed; i++) _retention?.Retain(table.Blocks[i], table.Retention);
        }
        for (var i = table.Announced.From; i < table.Announced.To; i++) Withdraw(table, table.Parent(i + 1));
        table.Announced = default;
        if (_tiers is { TakesReleased: true }) NoteReleased(table);
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

    private void Evict(int block)
    {
        if (_tiers is not null && _index.CountOf(block) == BlockTokens)
        {
            if (_isReleased[block] && _tiers.HasRoomForReleased) SaveOne(block);
            _tiers.StoreEvicted(block, _index.NameOf(block), _index.ParentOf(block), _index.Tokens(block));
        }
        NoteLeft(block, EvictionReason.Room);
        Unlist(block);
    }

    private void NoteReleased(BlockTable table)
    {
        for (var i = 0; i < table.Listed; i++)
        {
            var block = table.Blocks[i];
            if (_isReleased[block] || _index.CountOf(block) < BlockTokens) continue;
            _isReleased[block] = true;
            _released.Enqueue(block);
        }
    }

    private void SaveOne(int block)
    {
        // It may hold something else by now, which is as good, or nothing.
        _isReleased[block] = false;
        if (_index.CountOf(block) == BlockTokens) _tiers!.StoreReleased(block, _index.NameOf(block), _index.ParentOf(block), _index.Tokens(block));
    }

    /// <summary>Full blocks after the shared ones that the tiers hold, or the device beyond a gap that the tiers fill. They become the last to give way there, the first of them last of all.</summary>
    private int Below(BlockTable table, ReadOnlySpan<int> tokens, int shared)
    {
        if (_tiers is null) return 0;
        var end = shared;
        for (; (end + 1) * BlockTokens < tokens.Length; end++)
        {
            var name = table.Name(end, tokens);
            var own = tokens.Slice(end * BlockTokens, BlockTokens);
            if (!_tiers.Has(name, table.Parent(end), own) && !_index.TryFind(name, table.Parent(end), own, out _)) break;
        }
        for (var i = end - 1; i >= shared; i--) _tiers.Touch(table.Name(i, tokens), table.Parent(i), tokens.Slice(i * BlockTokens, BlockTokens));
        return end - shared;
    }

    /// <summary>Asks once for what no tier here holds, and tells whether it is on its way.</summary>
    private bool IsFetching(BlockTable table, ReadOnlySpan<int> tokens, int shared)
    {
        if (_tiers is not { HasRemote: true }) return false;
        if (!table.HasAsked)
        {
            table.HasAsked = true;
            var wanted = new List<PageLabel>();
            for (var i = shared + Below(table, tokens, shared); (i + 1) * BlockTokens < tokens.Length && wanted.Count < _tiers.MostFetched; i++)
                wanted.Add(new PageLabel(table.Name(i, tokens), table.Parent(i), tokens.Slice(i * BlockTokens, BlockTokens).ToArray()));
            table.Fetch = _tiers.Fetch(wanted);
        }
        return table.Fetch is { IsDone: false };
    }

    /// <summary>Full blocks that exist, from the first, and how many of them nobody holds.</summary>
    private (int Shared, int Idle) Match(BlockTable table, ReadOnlySpan<int> tokens)
    {
        var (shared, idle) = (0, 0);
        for (; (shared + 1) * BlockTokens < tokens.Length; shared++)
        {
            var name = table.Name(shared, tokens);
            if (!_index.TryFind(name, table.Parent(shared), tokens.Slice(shared * BlockTokens, BlockTokens), out var block)) break;
            if (_pool.IsFree(block)) idle++;
        }
        return (shared, idle);
    }

    private bool IsAwaited(BlockTable table, ReadOnlySpan<int> tokens, int shared) =>
        (shared + 1) * BlockTokens <= tokens.Length && _announced.ContainsKey(table.Name(shared, tokens));

    private void Share(BlockTable table, ReadOnlySpan<int> tokens, int index)
    {
        if (!_index.TryFind(table.Name(index, tokens), table.Parent(index), tokens.Slice(index * BlockTokens, BlockTokens), out var block))
            throw new InvalidOperationException("A block that was found is gone.");
        _pool.Share(block);
        table.Append(block);
    }

    /// <summary>The block that begins with most of what comes after the shared ones.</summary>
    private (int Source, int Count) Start(BlockTable table, ReadOnlySpan<int> tokens, int shared)
    {
        var from = shared * BlockTokens;
        var count = _index.LongestStart(table.Parent(shared), tokens[from..Math.Min(tokens.Length - 1, from + BlockTokens)], out var source);
        return (source, count);
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

    private void KeepEnd(BlockTable table, int index, ReadOnlySpan<int> tokens)
    {
        if (_index.LongestStart(table.Parent(index), tokens, out _) == tokens.Length) return;
        DropStart(table.Parent(index), tokens);
        if (!_index.TryAdd(table.Blocks[index], default, table.Parent(index), tokens)) return;
        _pool.Keep(table.Blocks[index]);
        _records.List(table.Blocks[index], table.Root);
        _retention?.Retain(table.Blocks[index], table.Retention);
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
    }
}
