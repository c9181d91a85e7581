using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Kvasir.Checkpoints.Tokenizers.Models;

/// <summary>
/// Byte-pair encoding by rank: of all neighbouring pairs in a word the one of lowest rank merges first, the leftmost of equals.
/// Starts from bytes (byte-level vocabularies) or from characters.
/// </summary>
internal sealed class BpeModel
{
    private const int ShortWord = 40;
    private const int KeptScratch = 1 << 16;
    private const int Merged = int.MinValue;

    private readonly BpeTables _tables;
    private readonly PairTable _pairs;
    private readonly ConcurrentBag<Scratch> _scratch = [];

    public BpeModel(BpeTables tables)
    {
        _tables = tables;
        _pairs = tables.Pairs;
    }

    /// <summary>What one encoding in progress owns.</summary>
    internal sealed class Scratch
    {
        public WordCache Cache { get; } = new();
        public MergeHeap Heap { get; } = new();
        public int[] Symbols { get; set; } = [];
        public int[] Next { get; set; } = [];
        public int[] Previous { get; set; } = [];
    }

    /// <summary>Takes scratch; give it back with <see cref="Return"/>.</summary>
    public Scratch Rent() => _scratch.TryTake(out var scratch) ? scratch : new Scratch();

    /// <summary>Gives scratch back.</summary>
    public void Return(Scratch scratch) => _scratch.Add(scratch);

    /// <summary>Appends the tokens of the word from <paramref name="start"/> to <paramref name="end"/>.</summary>
    public void Encode(ReadOnlySpan<byte> text, int start, int end, Scratch scratch, List<int> output)
    {
        if (end - start > WordCache.LongestWord)
        {
            EncodeAnew(text[start..end], scratch, output);
            return;
        }
        var key = WordCache.Key.Of(text, start, end);
        if (scratch.Cache.TryAppend(key, output))
            return;
        int before = output.Count;
        EncodeAnew(text[start..end], scratch, output);
        scratch.Cache.Keep(key, CollectionsMarshal.AsSpan(output)[before..]);
    }

    private void EncodeAnew(ReadOnlySpan<byte> word, Scratch scratch, List<int> output)
    {
        if (_tables.WholeWords || (_tables.WholeLineFeeds && word.IndexOfAnyExcept((byte)'\n') < 0))
        {
            int whole = _tables.WholeToken(word);
            if (whole >= 0)
            {
                output.Add(whole);
                return;
            }
        }
        if (word.Length <= ShortWord)
            MergeShort(word, output);
        else
            MergeLong(word, scratch, output);
    }

    private void MergeShort(ReadOnlySpan<byte> word, List<int> output)
    {
        Span<int> symbols = stackalloc int[ShortWord];
        Span<int> ranks = stackalloc int[ShortWord];
        Span<int> results = stackalloc int[ShortWord];
        Span<int> starts = stackalloc int[ShortWord + 1];
        int count = 0;
        for (int at = 0; at < word.Length; count++)
        {
            starts[count] = at;
            symbols[count] = _tables.FirstSymbol(word, at, out int length);
            at += length;
        }
        starts[count] = word.Length;
        for (int i = 0; i + 1 < count; i++)
            ranks[i] = Rank(symbols[i], symbols[i + 1], out results[i]);
        while (count > 1)
        {
            int best = 0;
            for (int i = 1; i < count - 1; i++)
                if (ranks[i] < ranks[best])
                    best = i;
            if (ranks[best] == PairTable.NoRank)
                break;
            symbols[best] = results[best];
            symbols[(best + 2)..count].CopyTo(symbols[(best + 1)..]);
            starts[(best + 2)..(count + 1)].CopyTo(starts[(best + 1)..]);
            if (best + 2 < count)
            {
                ranks[(best + 2)..(count - 1)].CopyTo(ranks[(best + 1)..]);
                results[(best + 2)..(count - 1)].CopyTo(results[(best + 1)..]);
            }
            count--;
            if (best + 1 < count)
                ranks[best] = Rank(symbols[best], symbols[best + 1], out results[best]);
            if (best > 0)
                ranks[best - 1] = Rank(symbols[best - 1], symbols[best], out results[best - 1]);
        }
        int wordStart = output.Count;
        for (int i = 0; i < count; i++)
            _tables.Append(symbols[i], word[starts[i]..starts[i + 1]], wordStart, output);
    }

    /// <summary>A linked list and a heap: n log n for a word of n bytes.</summary>
    private void MergeLong(ReadOnlySpan<byte> word, Scratch scratch, List<int> output)
    {
        int size = word.Length;
        if (scratch.Symbols.Length < size)
            (scratch.Symbols, scratch.Next, scratch.Previous) = (new int[size], new int[size], new int[size]);
        int[] symbols = scratch.Symbols, next = scratch.Next, previous = scratch.Previous;
        var heap = scratch.Heap;
        for (int at = 0, before = -1; at < size;)
        {
            symbols[at] = _tables.FirstSymbol(word, at, out int length);
            previous[at] = before;
            next[at] = at + length;
            before = at;
            at += length;
        }
        for (int at = 0; next[at] < size; at = next[at])
            Propose(at);
        while (heap.Count > 0)
        {
            ulong key = heap.Pop();
            int left = (int)(uint)key;
            if (symbols[left] == Merged || next[left] >= size)
                continue;
            int right = next[left];
            // A pair that has changed since it was proposed has another rank, and was proposed anew.
            if (Rank(symbols[left], symbols[right], out int result) != (int)(key >> 32))
                continue;
            symbols[left] = result;
            symbols[right] = Merged;
            next[left] = next[right];
            if (next[left] < size)
            {
                previous[next[left]] = left;
                Propose(left);
            }
            if (previous[left] >= 0)
                Propose(previous[left]);
        }
        int wordStart = output.Count;
        for (int at = 0; at < size; at = next[at])
            _tables.Append(symbols[at], word[at..next[at]], wordStart, output);
        heap.Clear(KeptScratch);
        if (size > KeptScratch)
            (scratch.Symbols, scratch.Next, scratch.Previous) = ([], [], []);

        void Propose(int left)
        {
            int rank = Rank(symbols[left], symbols[next[left]], out _);
            if (rank != PairTable.NoRank)
                heap.Push((ulong)(uint)rank << 32 | (uint)left);
        }
    }

    private int Rank(int left, int right, out int result)
    {
        if ((left | right) < 0)
        {
            result = -1;
            return PairTable.NoRank;
        }
        return _pairs.Rank(left, right, out result);
    }
}
