using System.Buffers;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Index;
using Kvasir.Gateway.Requests;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Gateway.Routing;

/// <summary>The exact indexes, one per block size, and the feeds that fill them.</summary>
/// <param name="workers">Most workers.</param>
/// <param name="time">The clock.</param>
/// <param name="http">Asks workers whose events must be fetched; without it they are not.</param>
public sealed class EventSources(int workers, TimeProvider time, HttpClient? http = null) : IDisposable
{
    private const int LargestBlock = 1 << 16, MeasureEvery = 1024, MostTails = 3;
    private static readonly int Tiers = Enum.GetValues<KvTier>().Length;
    private readonly Lock _lock = new();
    private readonly Dictionary<int, EventIndex> _byBlockSize = [];
    private readonly Dictionary<Worker, List<IKvEventFeed>> _feeds = [];
    private readonly HashSet<string> _adapters = new(StringComparer.Ordinal);
    private readonly Known[] _known = new Known[workers];
    private readonly long[] _misfits = new long[workers];
    private int _unmeasured;

    /// <summary>Whether any worker has told events.</summary>
    public bool Any { get { lock (_lock) return _byBlockSize.Count > 0; } }

    /// <summary>Bytes of the indexes.</summary>
    public long Bytes { get { lock (_lock) return _byBlockSize.Values.Sum(index => index.Bytes); } }

    /// <summary>Bytes that the indexes may hold, give or take their last step of growth.</summary>
    public long MostBytes { get; set; } = long.MaxValue;

    /// <summary>Blocks that were not remembered for want of room.</summary>
    public long Unremembered { get { lock (_lock) return _byBlockSize.Values.Sum(index => index.Unremembered); } }

    /// <summary>Blocks in the indexes.</summary>
    public long Blocks { get { lock (_lock) return _byBlockSize.Values.Sum(index => index.Blocks); } }

    /// <summary>Whether a worker's events are in an index.</summary>
    public bool Knows(Worker worker)
    {
        lock (_lock) return _known[worker.Number].BlockSize > 0;
    }

    /// <summary>Whether events told of blocks of a LoRA adapter by that name.</summary>
    public bool KnowsAdapter(string name)
    {
        lock (_lock) return _adapters.Count > 0 && _adapters.Contains(name);
    }

    /// <summary>
    /// What came of a worker's events, how many stored blocks hung from unknown ones, and how many events had more or fewer
    /// tokens than their blocks; null where nobody listens.
    /// </summary>
    public (KvEventCounts Counts, long Orphans, long Misfits)? Told(Worker worker)
    {
        lock (_lock)
            return !_feeds.TryGetValue(worker, out var feeds) ? null
                : (feeds.Aggregate(new KvEventCounts(0, 0, 0, 0, 0, double.NegativeInfinity), (sum, feed) => sum + feed.Counts), _byBlockSize.Values.Sum(index => index.OrphansOf(worker.Number)), _misfits[worker.Number]);
    }

    /// <summary>Begins to listen to a worker that publishes.</summary>
    public void Subscribe(Worker worker)
    {
        if (worker.Address.KvEvents is not { } address) return;
        lock (_lock)
        {
            if (_feeds.ContainsKey(worker)) return;
            var feeds = _feeds[worker] = [];
            if (address.StartsWith("http", StringComparison.Ordinal))
            {
                if (http is not null) feeds.Add(new KvEventPoller(new Uri(address), worker.Address.ApiKey, http, time, (rank, batch) => Apply(worker, rank, batch), rank => Lose(worker, rank)));
                return;
            }
            for (var rank = 0; rank < Math.Clamp(worker.Address.DataParallelRanks, 1, EventIndex.MostRanks); rank++)
                feeds.Add(Subscriber(worker, address, rank));
        }
    }

    /// <summary>Stops listening to a worker and forgets it.</summary>
    public void Unsubscribe(Worker worker)
    {
        List<IKvEventFeed>? feeds;
        lock (_lock) _feeds.Remove(worker, out feeds);
        feeds?.ForEach(feed => feed.Dispose());
        Clear(worker);
    }

    /// <summary>Forgets what a worker holds.</summary>
    public void Clear(Worker worker)
    {
        lock (_lock) Forget(worker.Number);
    }

    /// <summary>Applies a batch of a worker's events.</summary>
    /// <param name="worker">The worker.</param>
    /// <param name="rank">The rank whose port it came from; the one that the batch names counts more.</param>
    /// <param name="batch">The batch.</param>
    public void Apply(Worker worker, int rank, KvEventBatch batch)
    {
        rank = Math.Clamp(batch.DataParallelRank ?? rank, 0, EventIndex.MostRanks - 1);
        lock (_lock)
            foreach (var change in batch.Events) Apply(worker, rank, change);
    }

    /// <summary>Adds what indexes say about a prompt's tokens: on the device, and beyond that on slower tiers.</summary>
    /// <param name="prompt">The prompt; its last token is always computed.</param>
    /// <param name="named">The prompt's blocks, named already, where neither salt nor adapter is in the names.</param>
    /// <param name="namedSize">Tokens in each of those.</param>
    /// <param name="device">Raised to the tokens on devices [workers].</param>
    /// <param name="slower">Raised to the tokens beyond those on slower tiers [workers].</param>
    public void Predict(PromptTokens prompt, ReadOnlySpan<ulong> named, int namedSize, Span<double> device, Span<double> slower)
    {
        var tokens = prompt.Ids.AsSpan(0, Math.Max(0, prompt.Ids.Length - 1));
        lock (_lock)
        {
            var adapter = prompt.Model is { } model && _adapters.Contains(model) ? model : null;
            foreach (var index in _byBlockSize.Values)
            {
                if (prompt.Salt is not null) PredictSalted(index, tokens, adapter, prompt.Salt, device, slower);
                else if (index.BlockSize == namedSize && adapter is null) Predict(index, named[..Math.Min(named.Length, tokens.Length / namedSize)], null, device, slower);
                else PredictNamed(index, tokens, adapter, null, null, device, slower);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        List<IKvEventFeed> all;
        lock (_lock)
        {
            all = [.. _feeds.Values.SelectMany(list => list)];
            _feeds.Clear();
        }
        foreach (var feed in all) feed.Dispose();
    }

    /// <summary>The address of a data-parallel rank: engines count ports up from the first.</summary>
    internal static string AtRank(string address, int rank)
    {
        var colon = address.LastIndexOf(':');
        return rank > 0 && int.TryParse(address.AsSpan(colon + 1), out var port) ? $"{address[..colon]}:{port + rank}" : address;
    }

    private KvEventSubscriber Subscriber(Worker worker, string address, int rank) => new(AtRank(address, rank),
        worker.Address.KvReplay is { } replay ? AtRank(replay, rank) : null, batch => Apply(worker, rank, batch), () => Lose(worker, rank));

    private void Lose(Worker worker, int rank)
    {
        lock (_lock)
        {
            if (IndexOf(worker.Number) is { } index) index.Clear(worker.Number, rank);
        }
        worker.Trust.MarkLossy();
    }

    private void Forget(int worker)
    {
        IndexOf(worker)?.Clear(worker);
        _known[worker] = default;
    }

    private EventIndex? IndexOf(int worker) => _known[worker].BlockSize > 0 ? _byBlockSize[_known[worker].BlockSize] : null;

    private void Apply(Worker worker, int rank, KvEvent change)
    {
        ref var known = ref _known[worker.Number];
        known.Worker = worker;
        switch (change)
        {
            case BlocksStored { Tokens.IsEmpty: false } stored:
                if (!Fits(stored) || IsTailOfNothing(ref known, stored))
                {
                    // A wrong block size would cut the tokens into blocks that the engine does not have.
                    _misfits[worker.Number]++;
                    worker.Trust.MarkLossy();
                    return;
                }
                if (known.BlockSize == 0 && stored.Tokens.Length < stored.BlockSize || !Heeds(worker.Number, stored)) return;
                if (stored.Adapter is not null) _adapters.Add(stored.Adapter);
                IndexOf(worker.Number)!.Apply(worker.Number, stored, rank);
                Measure(stored.Blocks.Length);
                break;
            case BlocksStored moved when moved.Group == known.Group:
                IndexOf(worker.Number)?.Apply(worker.Number, moved, rank);
                break;
            case BlocksRemoved removed when removed.Group == known.Group:
                IndexOf(worker.Number)?.Apply(worker.Number, removed, rank);
                break;
            case AllBlocksCleared:
                IndexOf(worker.Number)?.Apply(worker.Number, change, rank);
                break;
        }
    }

    /// <summary>Every block but the last must be full.</summary>
    private static bool Fits(BlocksStored stored) => stored.BlockSize <= LargestBlock && stored.Tokens.Length <= (long)stored.Blocks.Length * stored.BlockSize
        && stored.Tokens.Length > (stored.Blocks.Length - 1L) * stored.BlockSize;

    /// <summary>
    /// Short pages end texts, so full ones come before them: where one after another is told and never a full one, pages
    /// are smaller than their events say. The first few may be of texts that began before anybody listened.
    /// </summary>
    private static bool IsTailOfNothing(ref Known known, BlocksStored stored) =>
        known.BlockSize == 0 && stored.Parent is not null && stored.Tokens.Length < stored.BlockSize && ++known.Tails > MostTails;

    /// <summary>
    /// Whether blocks are of the one group that says how far a prefix reaches: one that keeps whole texts before one that
    /// does not, then the first. Groups with a window let go of blocks that the prefix does not need.
    /// </summary>
    private bool Heeds(int worker, BlocksStored stored)
    {
        ref var known = ref _known[worker];
        var ahead = known.BlockSize == 0 ? -1 : (stored.IsPartial, stored.Group).CompareTo((known.IsPartial, known.Group));
        if (ahead > 0) return false;
        if (ahead < 0 || stored.BlockSize != known.BlockSize)
        {
            // Another group, or the worker came back with blocks of another size.
            var of = known.Worker;
            Forget(worker);
            known = new Known { Worker = of, BlockSize = stored.BlockSize, Group = stored.Group, IsPartial = stored.IsPartial };
            if (!_byBlockSize.ContainsKey(stored.BlockSize)) _byBlockSize[stored.BlockSize] = new EventIndex(stored.BlockSize, workers);
        }
        return true;
    }

    /// <summary>Adding up all tables takes longer than a block: it is done once in a thousand.</summary>
    private void Measure(int stored)
    {
        if ((_unmeasured += stored) < MeasureEvery) return;
        _unmeasured = 0;
        var mayGrow = _byBlockSize.Values.Sum(index => index.Bytes) < MostBytes;
        foreach (var index in _byBlockSize.Values) index.MayGrow = mayGrow;
    }

    /// <summary>Engines write one salt in unlike ways: each way is named once, for the workers that write it so.</summary>
    private void PredictSalted(EventIndex index, ReadOnlySpan<int> tokens, string? adapter, string salt, Span<double> device, Span<double> slower)
    {
        foreach (var written in _known.Where(known => known.BlockSize == index.BlockSize).Select(known => known.Worker!.Adapter.SaltInEvents(salt)).Distinct())
            PredictNamed(index, tokens, adapter, written, known => known.Worker!.Adapter.SaltInEvents(salt) == written, device, slower);
    }

    private void PredictNamed(EventIndex index, ReadOnlySpan<int> tokens, string? adapter, string? salt, Func<Known, bool>? of, Span<double> device, Span<double> slower)
    {
        var chain = ArrayPool<ulong>.Shared.Rent(Math.Max(1, tokens.Length / index.BlockSize));
        Predict(index, chain.AsSpan(0, index.Name(tokens, chain, adapter, salt)), of, device, slower);
        ArrayPool<ulong>.Shared.Return(chain);
    }

    private void Predict(EventIndex index, ReadOnlySpan<ulong> chain, Func<Known, bool>? of, Span<double> device, Span<double> slower)
    {
        var lengths = ArrayPool<int>.Shared.Rent(workers * Tiers);
        index.Match(chain, lengths.AsSpan(0, workers * Tiers));
        for (var worker = 0; worker < workers; worker++)
        {
            if (_known[worker].BlockSize != index.BlockSize || of is not null && !of(_known[worker])) continue;
            var (near, far) = (lengths[index.HolderOf(worker, KvTier.Device)], lengths[index.HolderOf(worker, KvTier.Remote)]);
            device[worker] = Math.Max(device[worker], near * index.BlockSize);
            slower[worker] = Math.Max(slower[worker], (far - near) * index.BlockSize);
        }
        ArrayPool<int>.Shared.Return(lengths);
    }

    /// <summary>What a worker's events are like.</summary>
    private struct Known
    {
        public Worker? Worker;
        public int BlockSize, Group, Tails;
        public bool IsPartial;
    }
}
