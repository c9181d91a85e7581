using System.Runtime.CompilerServices;

namespace Kvasir.Gateway.Index;

/// <summary>
/// An open-addressing table from 64-bit hashes to small values: no object per entry, linear probing, deletion by moving
/// entries back (so that a table in which blocks come and go for months has no tombstones). Keys are hashes already; the
/// table is split into shards by their upper bits, so that growth moves a part at a time.
/// </summary>
internal sealed class HashTable<TValue> where TValue : unmanaged
{
    private const int InitialSlots = 16;

    private readonly Shard[] _shards;
    private readonly int _shift;

    /// <param name="shardBits">Binary logarithm of the number of shards: 0 for a small table.</param>
    public HashTable(int shardBits)
    {
        _shards = new Shard[1 << shardBits];
        for (var i = 0; i < _shards.Length; i++) _shards[i] = new Shard();
        _shift = 64 - shardBits;
    }

    /// <summary>Entries.</summary>
    public long Count { get; private set; }

    /// <summary>Whether the table may take more memory; without it, only what fits is taken.</summary>
    public bool MayGrow { get; set; } = true;

    /// <summary>Bytes held.</summary>
    public long Bytes => _shards.Sum(shard => shard.Bytes);

    /// <summary>The value of <paramref name="key"/>, or a null reference.</summary>
    public ref TValue Find(ulong key) => ref ShardOf(key).Find(Stored(key));

    /// <summary>The value of <paramref name="key"/>, a new default one if there was none, or a null reference if there is no room and it may not grow.</summary>
    public ref TValue FindOrAdd(ulong key, out bool added)
    {
        ref var value = ref ShardOf(key).FindOrAdd(Stored(key), MayGrow, out added);
        if (added) Count++;
        return ref value;
    }

    /// <summary>Removes the entry, if there is one.</summary>
    public bool Remove(ulong key)
    {
        if (!ShardOf(key).Remove(Stored(key))) return false;
        Count--;
        return true;
    }

    /// <summary>Calls <paramref name="visit"/> for every entry; the table must not change meanwhile.</summary>
    public void ForEach(Action<ulong, TValue> visit)
    {
        foreach (var shard in _shards) shard.ForEach(visit);
    }

    private Shard ShardOf(ulong key) => _shards[_shift == 64 ? 0 : (int)(key >> _shift)];

    /// <summary>Zero marks a free slot, so the key zero borrows a neighbour's name: one collision in 2⁶⁴.</summary>
    private static ulong Stored(ulong key) => key == 0 ? 1 : key;

    private sealed class Shard
    {
        private ulong[] _keys = [];
        private TValue[] _values = [];
        private int _count;

        public long Bytes => _keys.LongLength * (sizeof(ulong) + Unsafe.SizeOf<TValue>());

        public ref TValue Find(ulong key)
        {
            if (_keys.Length == 0) return ref Unsafe.NullRef<TValue>();
            var slot = SlotOf(key);
            return ref _keys[slot] == key ? ref _values[slot] : ref Unsafe.NullRef<TValue>();
        }

        public ref TValue FindOrAdd(ulong key, bool mayGrow, out bool added)
        {
            // Three quarters full at most, growing by half as much again: 100 M entries stay within 22 bytes of slack each.
            if ((_count + 1) * 4L > _keys.Length * 3L)
            {
                if (!mayGrow)
                {
                    added = false;
                    return ref Find(key);
                }
                Grow();
            }
            var slot = SlotOf(key);
            added = _keys[slot] != key;
            if (added)
            {
                _keys[slot] = key;
                _values[slot] = default;
                _count++;
            }
            return ref _values[slot];
        }

        public bool Remove(ulong key)
        {
            if (_keys.Length == 0) return false;
            var hole = SlotOf(key);
            if (_keys[hole] != key) return false;
            // Whatever probed past the hole moves back into it.
            for (var next = After(hole); _keys[next] != 0; next = After(next))
            {
                var home = Home(_keys[next]);
                var reaches = hole <= next ? home <= hole || home > next : home <= hole && home > next;
                if (!reaches) continue;
                _keys[hole] = _keys[next];
                _values[hole] = _values[next];
                hole = next;
            }
            _keys[hole] = 0;
            _count--;
            return true;
        }

        public void ForEach(Action<ulong, TValue> visit)
        {
            for (var slot = 0; slot < _keys.Length; slot++)
                if (_keys[slot] != 0) visit(_keys[slot], _values[slot]);
        }

        private int SlotOf(ulong key)
        {
            var slot = Home(key);
            while (_keys[slot] != key && _keys[slot] != 0) slot = After(slot);
            return slot;
        }

        /// <summary>Multiplies the well-mixed key into the range (Lemire), so that sizes need not be powers of two.</summary>
        private int Home(ulong key) => (int)((key * 0x9E37_79B9_7F4A_7C15UL >> 32) * (ulong)_keys.Length >> 32);

        private int After(int slot) => slot + 1 == _keys.Length ? 0 : slot + 1;

        private void Grow()
        {
            var (keys, values) = (_keys, _values);
            var slots = Math.Max(InitialSlots, keys.Length + keys.Length / 2);
            (_keys, _values) = (new ulong[slots], new TValue[slots]);
            for (var i = 0; i < keys.Length; i++)
            {
                if (keys[i] == 0) continue;
                var slot = SlotOf(keys[i]);
                _keys[slot] = keys[i];
                _values[slot] = values[i];
            }
        }
    }
}
