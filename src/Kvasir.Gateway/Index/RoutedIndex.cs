using System.Runtime.CompilerServices;

namespace Kvasir.Gateway.Index;

/// <summary>
/// What workers probably hold because prompts were sent there: per worker the blocks it was given, the least recently used
/// forgotten beyond its capacity, and all older than a time to live, if there is one. One thread at a time may use it.
/// </summary>
public sealed class RoutedIndex
{
    private readonly PrefixTable _prefixes;
    private readonly Shelf?[] _shelves;
    private readonly long _timeToLive;
    private readonly int _defaultCapacity;

    /// <param name="workers">Most workers; they are numbered from zero.</param>
    /// <param name="defaultCapacity">Blocks remembered per worker until <see cref="SetCapacity"/> says otherwise.</param>
    /// <param name="timeToLive">Time stamps after which a block is forgotten; 0 for never.</param>
    public RoutedIndex(int workers, int defaultCapacity, long timeToLive = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(workers);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(defaultCapacity);
        _prefixes = new PrefixTable(workers);
        _shelves = new Shelf?[workers];
        (_defaultCapacity, _timeToLive) = (defaultCapacity, timeToLive);
    }

    /// <summary>Bytes held.</summary>
    public long Bytes => _prefixes.Bytes + _shelves.Sum(shelf => shelf?.Bytes ?? 0);

    /// <summary>Distinct blocks.</summary>
    public long Blocks => _prefixes.Count;

    /// <summary>Bounds what is remembered of a worker by what it can hold.</summary>
    /// <param name="worker">The worker.</param>
    /// <param name="blocks">Its capacity in blocks.</param>
    public void SetCapacity(int worker, int blocks)
    {
        var shelf = ShelfOf(worker);
        shelf.Capacity = Math.Max(1, blocks);
        while (shelf.Count > shelf.Capacity) DropOldest(worker, shelf);
    }

    /// <summary>Blocks from the start of the prompt that each worker probably has.</summary>
    /// <param name="chain">The prompt's names.</param>
    /// <param name="now">The time stamp of now.</param>
    /// <param name="lengths">Result [workers].</param>
    public void Match(ReadOnlySpan<ulong> chain, long now, Span<int> lengths)
    {
        if (_timeToLive > 0) Expire(now);
        _prefixes.Match(chain, lengths);
    }

    /// <summary>A prompt was sent to a worker.</summary>
    public void Note(int worker, ReadOnlySpan<ulong> chain, long now)
    {
        var shelf = ShelfOf(worker);
        // Last block first: within a prompt the beginning, which others share, is forgotten last.
        for (var i = Math.Min(chain.Length, shelf.Capacity) - 1; i >= 0; i--)
        {
            if (shelf.Touch(chain[i], now)) _prefixes.Add(chain[i], worker);
            if (shelf.Count > shelf.Capacity) DropOldest(worker, shelf);
        }
    }

    /// <summary>A worker did not compute a prompt after all.</summary>
    public void Forget(int worker, ReadOnlySpan<ulong> chain)
    {
        if (_shelves[worker] is not { } shelf) return;
        foreach (var block in chain)
            if (shelf.Remove(block)) _prefixes.Remove(block, worker);
    }

    /// <summary>Forgets everything about a worker.</summary>
    public void Clear(int worker)
    {
        if (_shelves[worker] is not { } shelf) return;
        while (shelf.Count > 0) DropOldest(worker, shelf);
    }

    private void Expire(long now)
    {
        for (var worker = 0; worker < _shelves.Length; worker++)
            if (_shelves[worker] is { } shelf)
                while (shelf.Count > 0 && now - shelf.OldestTime > _timeToLive) DropOldest(worker, shelf);
    }

    private void DropOldest(int worker, Shelf shelf) => _prefixes.Remove(shelf.RemoveOldest(), worker);

    private Shelf ShelfOf(int worker) => _shelves[worker] ??= new Shelf { Capacity = _defaultCapacity };

    /// <summary>One worker's blocks in the order of their last use: a list threaded through arrays, no object per block.</summary>
    private sealed class Shelf
    {
        private const int None = -1;
        private readonly HashTable<int> _places = new(shardBits: 0);
        private Entry[] _entries = [];
        private int _used, _oldest = None, _newest = None, _free = None;

        public int Capacity { get; set; }

        public int Count => (int)_places.Count;

        public long Bytes => _places.Bytes + _entries.LongLength * Unsafe.SizeOf<Entry>();

        public long OldestTime => _entries[_oldest].Time;

        /// <summary>Makes the block the newest; whether it was not there.</summary>
        public bool Touch(ulong block, long now)
        {
            ref var place = ref _places.FindOrAdd(block, out var added);
            if (added) place = Rent();
            else Unlink(place);
            var index = place;
            ref var entry = ref _entries[index];
            (entry.Block, entry.Time, entry.Older, entry.Newer) = (block, now, _newest, None);
            if (_newest != None) _entries[_newest].Newer = index;
            else _oldest = index;
            _newest = index;
            return added;
        }

        public ulong RemoveOldest()
        {
            var block = _entries[_oldest].Block;
            Remove(block);
            return block;
        }

        /// <summary>Whether the block was there.</summary>
        public bool Remove(ulong block)
        {
            ref var place = ref _places.Find(block);
            if (Unsafe.IsNullRef(ref place)) return false;
            var index = place;
            Unlink(index);
            _entries[index].Newer = _free;
            _free = index;
            _places.Remove(block);
            return true;
        }

        private void Unlink(int index)
        {
            var (older, newer) = (_entries[index].Older, _entries[index].Newer);
            if (older != None) _entries[older].Newer = newer;
            else _oldest = newer;
            if (newer != None) _entries[newer].Older = older;
            else _newest = older;
        }

        private int Rent()
        {
            if (_free != None)
            {
                var free = _free;
                _free = _entries[free].Newer;
                return free;
            }
            if (_used == _entries.Length) Array.Resize(ref _entries, Math.Max(64, _used + _used / 2));
            return _used++;
        }

        private struct Entry
        {
            public ulong Block;
            public long Time;
            public int Older, Newer;
        }
    }
}
