using System.Numerics;
using System.Runtime.CompilerServices;

namespace Kvasir.Checkpoints.Tokenizers.Models;

/// <summary>Which pairs of symbols merge, how early (rank, lower first) and into what.</summary>
internal sealed class PairTable
{
    /// <summary>The rank of a pair that does not merge.</summary>
    public const int NoRank = int.MaxValue;

    private const ulong Empty = ulong.MaxValue;
    private const ulong Golden = 0x9E3779B97F4A7C15;

    private readonly Entry[] _entries;
    private readonly int _shift;

    private struct Entry
    {
        public ulong Pair;
        public int Rank;
        public int Result;
    }

    public PairTable(int capacity)
    {
        int slots = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(16, capacity * 2L));
        _entries = new Entry[slots];
        _shift = 64 - BitOperations.Log2((uint)slots);
        Array.Fill(_entries, new Entry { Pair = Empty, Rank = NoRank });
    }

    /// <summary>Adds a pair; the first rank that a pair is given stays.</summary>
    public void TryAdd(int left, int right, int rank, int result)
    {
        ref var entry = ref Find(left, right);
        if (entry.Pair == Empty)
            entry = new Entry { Pair = Key(left, right), Rank = rank, Result = result };
    }

    /// <summary>The rank of a pair and what it merges into; <see cref="NoRank"/> where it does not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Rank(int left, int right, out int result)
    {
        ref var entry = ref Find(left, right);
        result = entry.Result;
        return entry.Rank;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref Entry Find(int left, int right)
    {
        ulong key = Key(left, right);
        int mask = _entries.Length - 1;
        int slot = (int)(key * Golden >> _shift);
        while (true)
        {
            ref var entry = ref _entries[slot];
            if (entry.Pair == key || entry.Pair == Empty)
                return ref entry;
            slot = (slot + 1) & mask;
        }
    }

    private static ulong Key(int left, int right) => (ulong)(uint)left << 32 | (uint)right;
}
