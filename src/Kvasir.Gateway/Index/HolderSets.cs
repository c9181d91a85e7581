using System.Numerics;

namespace Kvasir.Gateway.Index;

/// <summary>
/// Sets of holders, one per indexed block. Nearly every block has a single holder, so a set is a 32-bit reference: the
/// holder itself, or the number of a bit set in a pool.
/// </summary>
internal sealed class HolderSets
{
    /// <summary>The reference of the empty set.</summary>
    public const uint Empty = uint.MaxValue;

    private const uint PoolFlag = 0x8000_0000;

    private readonly int _words;
    private readonly ulong _next, _nextTwo;
    private readonly Stack<uint> _free = new();
    private ulong[] _bits = [];
    private uint _used;

    /// <param name="holders">Number of possible holders.</param>
    /// <param name="tiered">Whether four holders each are a worker's tiers, fastest first: what a tier holds counts for the slower ones too when sets are read.</param>
    public HolderSets(int holders, bool tiered = false)
    {
        _words = (holders + 63) / 64;
        (_next, _nextTwo) = tiered ? (0xEEEE_EEEE_EEEE_EEEE, 0xCCCC_CCCC_CCCC_CCCC) : (0, 0);
    }

    /// <summary>64-bit words of one set as <see cref="CopyTo"/> and <see cref="Intersect"/> see it.</summary>
    public int Words => _words;

    /// <summary>Whether the pool may take more memory; without it, a holder that needs it is not noted.</summary>
    public bool MayGrow { get; set; } = true;

    /// <summary>Bytes held by the pool.</summary>
    public long Bytes => _bits.LongLength * sizeof(ulong) + _free.Count * sizeof(uint);

    /// <summary>Whether <paramref name="holder"/> is in the set.</summary>
    public bool Contains(uint set, int holder) => set != Empty && ((set & PoolFlag) == 0 ? set == (uint)holder : (Bits(set)[holder >> 6] >> (holder & 63) & 1) != 0);

    /// <summary>The set with <paramref name="holder"/> in it; the old reference is given up.</summary>
    public uint Add(uint set, int holder)
    {
        if (set == Empty || set == (uint)holder) return (uint)holder;
        if ((set & PoolFlag) == 0)
        {
            var pooled = Rent();
            if (pooled == Empty) return set;
            Bits(pooled)[(int)set >> 6] |= 1UL << (int)(set & 63);
            set = pooled;
        }
        Bits(set)[holder >> 6] |= 1UL << (holder & 63);
        return set;
    }

    /// <summary>The set without <paramref name="holder"/>; the old reference is given up.</summary>
    public uint Remove(uint set, int holder)
    {
        if (set == Empty || (set & PoolFlag) == 0) return set == (uint)holder ? Empty : set;
        var bits = Bits(set);
        bits[holder >> 6] &= ~(1UL << (holder & 63));
        var only = Empty;
        for (var word = 0; word < _words; word++)
        {
            if (bits[word] == 0) continue;
            if (only != Empty || !BitOperations.IsPow2(bits[word])) return set;
            only = (uint)(word * 64 + BitOperations.TrailingZeroCount(bits[word]));
        }
        bits.Clear();
        _free.Push(set);
        return only;
    }

    /// <summary>Writes the set's bits into <paramref name="alive"/> [Words].</summary>
    public void CopyTo(uint set, Span<ulong> alive)
    {
        if ((set & PoolFlag) != 0 && set != Empty)
        {
            var bits = Bits(set);
            for (var word = 0; word < bits.Length; word++) alive[word] = Spread(bits[word]);
            return;
        }
        alive.Clear();
        if (set != Empty) alive[(int)set >> 6] = Spread(1UL << (int)(set & 63));
    }

    /// <summary>Whether all of <paramref name="alive"/> [Words] is in the set.</summary>
    public bool Covers(uint set, ReadOnlySpan<ulong> alive)
    {
        if (set == Empty || (set & PoolFlag) == 0) return IsWithin(set, alive);
        var bits = Bits(set);
        var (next, nextTwo) = (new Vector<ulong>(_next), new Vector<ulong>(_nextTwo));
        var lost = Vector<ulong>.Zero;
        var word = 0;
        for (; word + Vector<ulong>.Count <= alive.Length; word += Vector<ulong>.Count)
        {
            var mask = new Vector<ulong>(bits[word..]);
            mask |= (mask << 1) & next;
            mask |= (mask << 2) & nextTwo;
            lost |= Vector.AndNot(new Vector<ulong>(alive[word..]), mask);
        }
        ulong lostTail = 0;
        for (; word < alive.Length; word++) lostTail |= alive[word] & ~Spread(bits[word]);
        return lostTail == 0 && lost == Vector<ulong>.Zero;
    }

    /// <summary>Keeps in <paramref name="alive"/> [Words] what is also in the set. Whether anything stayed.</summary>
    public bool Intersect(uint set, Span<ulong> alive)
    {
        var single = set == Empty || (set & PoolFlag) == 0;
        ReadOnlySpan<ulong> bits = single ? default : Bits(set);
        ulong kept = 0;
        for (var word = 0; word < alive.Length; word++)
        {
            alive[word] &= single ? MaskOf(set, word) : Spread(bits[word]);
            kept |= alive[word];
        }
        return kept != 0;
    }

    private bool IsWithin(uint holder, ReadOnlySpan<ulong> alive)
    {
        ulong lost = 0;
        for (var word = 0; word < alive.Length; word++) lost |= alive[word] & ~MaskOf(holder, word);
        return lost == 0;
    }

    private ulong MaskOf(uint holder, int word) => holder != Empty && (int)holder >> 6 == word ? Spread(1UL << (int)(holder & 63)) : 0;

    private ulong Spread(ulong word)
    {
        word |= (word << 1) & _next;
        return word | ((word << 2) & _nextTwo);
    }

    private Span<ulong> Bits(uint set) => _bits.AsSpan((int)(set & ~PoolFlag) * _words, _words);

    private uint Rent()
    {
        if (_free.TryPop(out var free)) return free;
        var needed = (int)(_used + 1) * _words;
        if (needed > _bits.Length && !MayGrow) return Empty;
        if (needed > _bits.Length) Array.Resize(ref _bits, Math.Max(needed, _bits.Length + Math.Max(_bits.Length / 2, 64 * _words)));
        return _used++ | PoolFlag;
    }
}
