using System.Numerics;
using System.Runtime.CompilerServices;

namespace Kvasir.Gateway.Index;

/// <summary>
/// Which holders have the block named by each chained hash. A holder is one tier of one worker. A chained hash names the
/// whole prefix, so equal names mean equal prefixes whichever engine reported them.
/// </summary>
public sealed class PrefixTable
{
    private const int Batch = 32;

    private readonly HashTable<uint> _blocks = new(shardBits: 8);
    private readonly HolderSets _sets;

    /// <param name="holders">Number of possible holders.</param>
    /// <param name="tiered">Whether four holders each are a worker's tiers, fastest first: a prefix may go on in a slower tier.</param>
    public PrefixTable(int holders, bool tiered = false) => _sets = new HolderSets(holders, tiered);

    /// <summary>Distinct blocks.</summary>
    public long Count => _blocks.Count;

    /// <summary>Bytes held.</summary>
    public long Bytes => _blocks.Bytes + _sets.Bytes;

    /// <summary>Whether it may take more memory; without it, what finds no room is not noted.</summary>
    public bool MayGrow
    {
        get => _blocks.MayGrow;
        set => _blocks.MayGrow = _sets.MayGrow = value;
    }

    /// <summary>Notes that <paramref name="holder"/> has the block. Whether that was known already.</summary>
    public bool Add(ulong block, int holder)
    {
        ref var set = ref _blocks.FindOrAdd(block, out var added);
        if (Unsafe.IsNullRef(ref set)) return false;
        if (!added && _sets.Contains(set, holder)) return true;
        set = _sets.Add(added ? HolderSets.Empty : set, holder);
        return false;
    }

    /// <summary>Notes that <paramref name="holder"/> no longer has the block.</summary>
    public void Remove(ulong block, int holder)
    {
        ref var set = ref _blocks.Find(block);
        if (Unsafe.IsNullRef(ref set)) return;
        set = _sets.Remove(set, holder);
        if (set == HolderSets.Empty) _blocks.Remove(block);
    }

    /// <summary>
    /// For every holder, the number of blocks from the start of <paramref name="chain"/> that it has without a gap.
    /// Every block is looked up: a jump over unseen blocks would credit a worker that evicted them.
    /// </summary>
    /// <param name="chain">The prompt's block names, first to last.</param>
    /// <param name="lengths">Result [holders].</param>
    public void Match(ReadOnlySpan<ulong> chain, Span<int> lengths)
    {
        lengths.Clear();
        if (chain.IsEmpty) return;
        Span<ulong> alive = stackalloc ulong[_sets.Words];
        Span<ulong> before = stackalloc ulong[_sets.Words];
        _sets.CopyTo(SetOf(chain[0]), alive);
        var any = false;
        foreach (var word in alive) any |= word != 0;
        var position = 1;
        Span<uint> sets = stackalloc uint[Batch];
        while (any && position < chain.Length)
        {
            var count = Math.Min(Batch, chain.Length - position);
            for (var i = 0; i < count; i++) sets[i] = SetOf(chain[position + i]);
            for (var i = 0; any && i < count; i++, position++)
            {
                // Along most of a prompt nobody falls out, which takes no writing to see.
                if (_sets.Covers(sets[i], alive)) continue;
                alive.CopyTo(before);
                any = _sets.Intersect(sets[i], alive);
                Record(before, alive, position, lengths);
            }
        }
        before.Clear();
        Record(alive, before, position, lengths);
    }

    private uint SetOf(ulong block)
    {
        ref var set = ref _blocks.Find(block);
        return Unsafe.IsNullRef(ref set) ? HolderSets.Empty : set;
    }

    /// <summary>Holders that were there before and are not any more matched <paramref name="length"/> blocks.</summary>
    private static void Record(ReadOnlySpan<ulong> before, ReadOnlySpan<ulong> after, int length, Span<int> lengths)
    {
        for (var word = 0; word < before.Length; word++)
            for (var left = before[word] & ~after[word]; left != 0; left &= left - 1)
                lengths[word * 64 + BitOperations.TrailingZeroCount(left)] = length;
    }
}
