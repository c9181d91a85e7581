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

    /// <summary>Bytes held by the pool.</summary>
    public long Bytes => _bits.LongLength * sizeof(ulong) + _free.Count * sizeof(uint);

    /// <summary>The set with <paramref name="holder"/> in it; the old reference is given up.</summary>
    public uint Add(uint set, int holder)
    {
        if (set == Empty || set == (uint)holder) return (uint)holder;
        if ((set & PoolFlag) == 0)
        {
            var pooled = Rent();
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

    /// <summary>Keeps in <paramref name="alive"/> [Words] what is also in the set. Whether anything left, and whether anything stayed.</summary>
    public (bool Changed, bool Any) Intersect(uint set, Span<ulong> alive)
    {
        return set == Empty || (set & PoolFlag) == 0 ? IntersectSingle(set, alive) : IntersectPooled(Bits(set), alive);
    }

    private (bool Changed, bool Any) IntersectSingle(uint set, Span<ulong> alive)
    {
        ulong lost = 0, kept = 0;
        for (var word = 0; word < alive.Length; word++)
        {
            var mask = set != Empty && (int)set >> 6 == word ? Spread(1UL << (int)(set & 63)) : 0;
            lost |= alive[word] & ~mask;
            alive[word] &= mask;
            kept |= alive[word];
        }
        return (lost != 0, kept != 0);
    }

    private (bool Changed, bool Any) IntersectPooled(ReadOnlySpan<ulong> bits, Span<ulong> alive)
    {
        var (lost, kept) = (Vector<ulong>.Zero, Vector<ulong>.Zero);
        var (next, nextTwo) = (new Vector<ulong>(_next), new Vector<ulong>(_nextTwo));
        var word = 0;
        for (; word + Vector<ulong>.Count <= alive.Length; word += Vector<ulong>.Count)
        {
            var (mask, before) = (new Vector<ulong>(bits[word..]), new Vector<ulong>(alive[word..]));
            mask |= (mask << 1) & next;
            mask |= (mask << 2) & nextTwo;
            var after = before & mask;
            lost |= before ^ after;
            kept |= after;
            after.CopyTo(alive[word..]);
        }
        ulong lostTail = 0, keptTail = 0;
        for (; word < alive.Length; word++)
        {
            var mask = Spread(bits[word]);
            lostTail |= alive[word] & ~mask;
            alive[word] &= mask;
            keptTail |= alive[word];
        }
        return (lostTail != 0 || lost != Vector<ulong>.Zero, keptTail != 0 || kept != Vector<ulong>.Zero);
    }

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
        if (needed > _bits.Length) Array.Resize(ref _bits, Math.Max(needed, _bits.Length + Math.Max(_bits.Length / 2, 64 * _words)));
        return _used++ | PoolFlag;
    }
}
