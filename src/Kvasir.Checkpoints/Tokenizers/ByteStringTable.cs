using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>A map from byte strings to ids, looked up by span: open addressing, all keys in one block.</summary>
internal sealed class ByteStringTable
{
    private readonly int[] _slots;
    private readonly int[] _ends;
    private readonly int[] _values;
    private readonly int _shift;
    private byte[] _keys;
    private int _count;

    /// <summary>Makes room for <paramref name="capacity"/> keys of about <paramref name="bytes"/> bytes together.</summary>
    public ByteStringTable(int capacity, int bytes = 64)
    {
        int slots = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(16, capacity * 2L));
        _slots = new int[slots];
        _shift = 64 - BitOperations.Log2((uint)slots);
        _ends = new int[capacity + 1];
        _values = new int[capacity];
        _keys = new byte[bytes];
    }

    /// <summary>Keys held.</summary>
    public int Count => _count;

    /// <summary>Bytes of the longest key.</summary>
    public int LongestKey { get; private set; }

    /// <summary>Adds a key; one that is there already keeps its value and gives false.</summary>
    public bool TryAdd(ReadOnlySpan<byte> key, int value)
    {
        int slot = Find(key);
        if (_slots[slot] != 0)
            return false;
        int start = _ends[_count], end = start + key.Length;
        if (end > _keys.Length)
            Array.Resize(ref _keys, Math.Max(end, _keys.Length * 2));
        key.CopyTo(_keys.AsSpan(start));
        _values[_count] = value;
        _ends[++_count] = end;
        _slots[slot] = _count;
        LongestKey = Math.Max(LongestKey, key.Length);
        return true;
    }

    /// <summary>The value of a key, or -1.</summary>
    public int Get(ReadOnlySpan<byte> key)
    {
        int entry = _slots[Find(key)];
        return entry == 0 ? -1 : _values[entry - 1];
    }

    private int Find(ReadOnlySpan<byte> key)
    {
        int mask = _slots.Length - 1;
        int slot = (int)(Hash(key) >> _shift);
        while (true)
        {
            int entry = _slots[slot];
            if (entry == 0)
                return slot;
            int start = _ends[entry - 1];
            if (_keys.AsSpan(start, _ends[entry] - start).SequenceEqual(key))
                return slot;
            slot = (slot + 1) & mask;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Hash(ReadOnlySpan<byte> key)
    {
        const ulong Golden = 0x9E3779B97F4A7C15;
        ulong hash = (ulong)key.Length * Golden;
        while (key.Length >= 8)
        {
            hash = BitOperations.RotateLeft((hash ^ BinaryPrimitives.ReadUInt64LittleEndian(key)) * Golden, 29);
            key = key[8..];
        }
        ulong tail = 0;
        for (int i = 0; i < key.Length; i++)
            tail |= (ulong)key[i] << (8 * i);
        hash = (hash ^ tail) * Golden;
        return (hash ^ hash >> 32) * Golden;
    }
}
