using System.Collections.Immutable;
using System.Numerics;
using System.Runtime.CompilerServices;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Gateway.Index;

/// <summary>
/// What every worker's KV cache holds, from the events the workers publish. Blocks are named by our own chained hash over
/// tokens; an engine's key is opaque and only finds the block again when that engine removes it. All workers of one index
/// have one block size; one thread at a time may use it.
/// </summary>
public sealed class EventIndex
{
    /// <summary>Most data-parallel ranks of a worker.</summary>
    public const int MostRanks = 64;

    private readonly PrefixTable _prefixes;
    private readonly Source?[] _sources;
    private readonly long[] _orphans;
    private readonly ulong _root;
    private readonly int _tiers = Enum.GetValues<KvTier>().Length;

    /// <param name="blockSize">Tokens per block.</param>
    /// <param name="workers">Most workers that may publish; they are numbered from zero.</param>
    /// <param name="salt">What separates equal tokens of unlike models.</param>
    public EventIndex(int blockSize, int workers, ReadOnlySpan<byte> salt = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(blockSize);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(workers);
        BlockSize = blockSize;
        _prefixes = new PrefixTable(workers * _tiers, tiered: true);
        (_sources, _orphans) = (new Source?[workers], new long[workers]);
        _root = PrefixName.Root(salt);
    }

    /// <summary>Tokens per block.</summary>
    public int BlockSize { get; }

    /// <summary>Distinct blocks that some worker holds.</summary>
    public long Blocks => _prefixes.Count;

    /// <summary>Bytes held by the index.</summary>
    public long Bytes => _prefixes.Bytes + _sources.Sum(source => source?.Bytes ?? 0);

    /// <summary>
    /// Whether it may take more memory. Without it, blocks that find no room are not remembered: it believes less than
    /// there is, never more, and takes new ones as others are removed.
    /// </summary>
    public bool MayGrow
    {
        get => _prefixes.MayGrow;
        set
        {
            _prefixes.MayGrow = value;
            foreach (var source in _sources)
                if (source is not null) source.Copies.MayGrow = value;
        }
    }

    /// <summary>Stored blocks that found no room.</summary>
    public long Unremembered { get; private set; }

    /// <summary>Stored blocks that were dropped because their parent is unknown: their position, and so their prefix, cannot be known.</summary>
    public long Orphans => _orphans.Sum();

    /// <summary><see cref="Orphans"/> of one worker.</summary>
    public long OrphansOf(int worker) => _orphans[worker];

    /// <summary>Names a prompt's full blocks as this index does.</summary>
    /// <param name="tokens">The prompt.</param>
    /// <param name="chain">Result, at least tokens / block size long.</param>
    /// <param name="adapter">The LoRA adapter that is asked, or null.</param>
    /// <param name="salt">What its first block's extra key says of it, or null.</param>
    /// <returns>The number of names.</returns>
    public int Name(ReadOnlySpan<int> tokens, Span<ulong> chain, string? adapter = null, string? salt = null)
    {
        var blocks = Math.Min(tokens.Length / BlockSize, chain.Length);
        var parent = RootOf(adapter);
        if (salt is not null) parent = PrefixName.Under(parent, salt);
        for (var i = 0; i < blocks; i++)
        {
            parent = PrefixName.Next(parent, tokens.Slice(i * BlockSize, BlockSize));
            chain[i] = parent;
        }
        return blocks;
    }

    /// <summary>Blocks from the start of the prompt that each worker has without a gap in each tier or a faster one.</summary>
    /// <param name="chain">The prompt's names.</param>
    /// <param name="lengths">Result [workers · tiers]: see <see cref="HolderOf"/>.</param>
    public void Match(ReadOnlySpan<ulong> chain, Span<int> lengths) => _prefixes.Match(chain, lengths);

    /// <summary>The place of a worker's tier in <see cref="Match"/>'s result.</summary>
    public int HolderOf(int worker, KvTier tier) => worker * _tiers + (int)tier;

    /// <summary>Applies one event of a worker.</summary>
    /// <param name="worker">The worker.</param>
    /// <param name="change">What happened.</param>
    /// <param name="rank">The data-parallel rank that speaks, 0 to 63; ranks name their blocks independently.</param>
    public void Apply(int worker, KvEvent change, int rank = 0)
    {
        var source = _sources[worker] ??= new Source { Copies = { MayGrow = MayGrow } };
        source.Ranks |= 1UL << rank;
        switch (change)
        {
            case BlocksStored stored: Store(worker, source, stored, rank); break;
            case BlocksRemoved removed: Remove(worker, source, removed, rank); break;
            case AllBlocksCleared: Clear(worker, rank); break;
        }
    }

    /// <summary>Forgets everything about a worker: it left or restarted.</summary>
    public void Clear(int worker)
    {
        if (_sources[worker] is not { } source) return;
        _sources[worker] = null;
        source.Copies.ForEach((_, copy) =>
        {
            for (var tier = 0; tier < _tiers; tier++)
                if (copy.Count((KvTier)tier) > 0) _prefixes.Remove(copy.Block, HolderOf(worker, (KvTier)tier));
        });
    }

    /// <summary>Forgets everything about a rank of a worker: it dropped its cache, or lost events that cannot be replayed.</summary>
    public void Clear(int worker, int rank)
    {
        if (_sources[worker] is not { } source) return;
        if (BitOperations.PopCount(source.Ranks) == 1)
        {
            Clear(worker);
            return;
        }
        var gone = new List<ulong>();
        source.Copies.ForEach((name, copy) =>
        {
            if (copy.Rank == rank) gone.Add(name);
        });
        foreach (var name in gone)
        {
            Forget(worker, source, ref source.Copies.Find(name));
            source.Copies.Remove(name);
        }
    }

    private void Store(int worker, Source source, BlocksStored stored, int rank)
    {
        // Blocks that move between tiers may come without tokens: they are known by their keys.
        if (stored.Tokens.IsEmpty)
        {
            foreach (var key in stored.Blocks)
            {
                ref var known = ref source.Copies.Find(NameInSource(key, stored.Group, rank));
                if (Unsafe.IsNullRef(ref known)) _orphans[worker]++;
                else AddCopy(worker, source, ref known, stored.Tier);
            }
            return;
        }
        if (!TryParent(source, stored, rank, out var parent))
        {
            _orphans[worker] += stored.Blocks.Length;
            return;
        }
        for (var i = 0; i < stored.Blocks.Length; i++)
        {
            var tokens = TokensOf(stored, i);
            // A short last page is not a full block: no prompt's chain can name it.
            if (tokens.Length < BlockSize) break;
            // Equal tokens under unlike salts, or for unlike images, are unlike blocks.
            if (i < stored.ExtraKeys.Length && stored.ExtraKeys[i] is { } extra) parent = PrefixName.Under(parent, extra);
            parent = PrefixName.Next(parent, tokens);
            ref var copy = ref source.Copies.FindOrAdd(NameInSource(stored.Blocks[i], stored.Group, rank), out var added);
            if (Unsafe.IsNullRef(ref copy))
            {
                Unremembered += stored.Blocks.Length - i;
                return;
            }
            // The engine gave a key to another block without removing the first: the newest word counts.
            if (!added && copy.Block != parent) Forget(worker, source, ref copy);
            (copy.Block, copy.Rank) = (parent, (byte)rank);
            AddCopy(worker, source, ref copy, stored.Tier);
        }
    }

    private bool TryParent(Source source, BlocksStored stored, int rank, out ulong parent)
    {
        parent = RootOf(stored.Adapter);
        if (stored.Parent is not { } key) return true;
        ref var copy = ref source.Copies.Find(NameInSource(key, stored.Group, rank));
        if (Unsafe.IsNullRef(ref copy)) return false;
        parent = copy.Block;
        return true;
    }

    /// <summary>Adapters separate equal tokens, so their blocks hang from a root of their own.</summary>
    private ulong RootOf(string? adapter) => adapter is null ? _root : PrefixName.Under(~_root, adapter);

    private ReadOnlySpan<int> TokensOf(BlocksStored stored, int block)
    {
        var start = (long)block * BlockSize;
        if (stored.BlockSize != BlockSize || start >= stored.Tokens.Length) return default;
        return stored.Tokens.AsSpan((int)start, Math.Min(BlockSize, stored.Tokens.Length - (int)start));
    }

    private void Remove(int worker, Source source, BlocksRemoved removed, int rank)
    {
        foreach (var key in removed.Blocks)
        {
            var name = NameInSource(key, removed.Group, rank);
            ref var copy = ref source.Copies.Find(name);
            if (Unsafe.IsNullRef(ref copy) || copy.Count(removed.Tier) == 0) continue;
            if (copy.Release(removed.Tier) == 0) Drop(worker, source, copy.Block, removed.Tier);
            if (copy.IsEmpty) source.Copies.Remove(name);
        }
    }

    private void AddCopy(int worker, Source source, ref Copy copy, KvTier tier)
    {
        if (copy.Take(tier) == 1 && _prefixes.Add(copy.Block, HolderOf(worker, tier))) source.AddFurther(copy.Block, tier);
    }

    private void Drop(int worker, Source source, ulong block, KvTier tier)
    {
        if (!source.RemoveFurther(block, tier)) _prefixes.Remove(block, HolderOf(worker, tier));
    }

    private void Forget(int worker, Source source, ref Copy copy)
    {
        for (var tier = 0; tier < _tiers; tier++)
            if (copy.Count((KvTier)tier) > 0) Drop(worker, source, copy.Block, (KvTier)tier);
        copy = default;
    }

    private static ulong NameInSource(BlockKey key, int group, int rank) =>
        key.Low ^ (key.High * 0x9E37_79B9_7F4A_7C15UL) ^ ((((ulong)group << 6) + (ulong)rank) * 0xC2B2_AE3D_27D4_EB4FUL);

    private sealed class Source
    {
        private const int BytesPerFurther = 40;

        public readonly HashTable<Copy> Copies = new(shardBits: 4);
        private readonly Dictionary<(ulong Block, KvTier Tier), int> _further = [];

        /// <summary>A bit for every rank that spoke.</summary>
        public ulong Ranks;

        public long Bytes => Copies.Bytes + (long)_further.Count * BytesPerFurther;

        /// <summary>Equal blocks under a further key: another rank's, or the same rank's after its hash changed.</summary>
        public void AddFurther(ulong block, KvTier tier)
        {
            // Not remembered, it will count as gone with the first key's: less is believed than there is.
            if (Copies.MayGrow) _further[(block, tier)] = _further.GetValueOrDefault((block, tier)) + 1;
        }

        public bool RemoveFurther(ulong block, KvTier tier)
        {
            if (_further.Count == 0 || !_further.TryGetValue((block, tier), out var count)) return false;
            if (count == 1) _further.Remove((block, tier));
            else _further[(block, tier)] = count - 1;
            return true;
        }
    }

    /// <summary>A block of one worker and how many physical copies each tier holds: engines store and remove every copy.</summary>
    private struct Copy
    {
        public ulong Block;
        public byte Rank;
        private uint _counts;

        public readonly bool IsEmpty => _counts == 0;

        public readonly int Count(KvTier tier) => (int)(_counts >> (8 * (int)tier)) & 0xFF;

        public int Take(KvTier tier)
        {
            var count = Count(tier);
            if (count < 0xFF) _counts += 1u << (8 * (int)tier);
            return count + 1;
        }

        public int Release(KvTier tier)
        {
            _counts -= 1u << (8 * (int)tier);
            return Count(tier);
        }
    }
}
