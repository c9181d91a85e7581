using System.Buffers;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Index;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Gateway.Routing;

/// <summary>The exact indexes, one per block size, and the subscribers that feed them.</summary>
public sealed class EventSources(int workers) : IDisposable
{
    private const int LargestBlock = 1 << 16, MostRanks = 64, MeasureEvery = 1024;
    private static readonly int Tiers = Enum.GetValues<KvTier>().Length;
    private readonly Lock _lock = new();
    private readonly Dictionary<int, EventIndex> _byBlockSize = [];
    private readonly Dictionary<Worker, List<KvEventSubscriber>> _subscribers = [];
    private readonly int[] _blockSizeOf = new int[workers], _groupOf = new int[workers];
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
        lock (_lock) return _blockSizeOf[worker.Number] > 0;
    }

    /// <summary>Begins to listen to a worker that publishes.</summary>
    public void Subscribe(Worker worker)
    {
        if (worker.Address.KvEvents is not { } address) return;
        lock (_lock)
        {
            if (_subscribers.ContainsKey(worker)) return;
            var list = _subscribers[worker] = [];
            for (var rank = 0; rank < Math.Clamp(worker.Address.DataParallelRanks, 1, MostRanks); rank++)
                list.Add(new KvEventSubscriber(AtRank(address, rank), worker.Address.KvReplay is { } replay ? AtRank(replay, rank) : null,
                    Applying(worker, rank), () => Lose(worker)));
        }
    }

    /// <summary>Stops listening to a worker and forgets it.</summary>
    public void Unsubscribe(Worker worker)
    {
        List<KvEventSubscriber>? subscribers;
        lock (_lock) _subscribers.Remove(worker, out subscribers);
        subscribers?.ForEach(subscriber => subscriber.Dispose());
        Clear(worker);
    }

    /// <summary>Forgets what a worker holds.</summary>
    public void Clear(Worker worker)
    {
        lock (_lock)
        {
            foreach (var index in _byBlockSize.Values) index.Clear(worker.Number);
            _blockSizeOf[worker.Number] = 0;
        }
    }

    /// <summary>Applies a batch of a worker's events.</summary>
    public void Apply(Worker worker, int rank, KvEventBatch batch)
    {
        lock (_lock)
            foreach (var change in batch.Events) Apply(worker, rank, change);
    }

    /// <summary>Adds what indexes say about a prompt's tokens: on the device, and beyond that on slower tiers.</summary>
    /// <param name="tokens">The prompt.</param>
    /// <param name="named">The prompt's blocks, named already.</param>
    /// <param name="namedSize">Tokens in each of those.</param>
    /// <param name="device">Raised to the tokens on devices [workers].</param>
    /// <param name="slower">Raised to the tokens beyond those on slower tiers [workers].</param>
    public void Predict(ReadOnlySpan<int> tokens, ReadOnlySpan<ulong> named, int namedSize, Span<double> device, Span<double> slower)
    {
        lock (_lock)
            foreach (var index in _byBlockSize.Values)
                if (index.BlockSize == namedSize) Predict(index, named, device, slower);
                else Predict(index, tokens, device, slower);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        List<KvEventSubscriber> all;
        lock (_lock)
        {
            all = [.. _subscribers.Values.SelectMany(list => list)];
            _subscribers.Clear();
        }
        foreach (var subscriber in all) subscriber.Dispose();
    }

    /// <summary>The address of a data-parallel rank: engines count ports up from the first.</summary>
    internal static string AtRank(string address, int rank)
    {
        var colon = address.LastIndexOf(':');
        return rank > 0 && int.TryParse(address.AsSpan(colon + 1), out var port) ? $"{address[..colon]}:{port + rank}" : address;
    }

    private Action<KvEventBatch> Applying(Worker worker, int rank) => batch => Apply(worker, batch.DataParallelRank ?? rank, batch);

    private void Lose(Worker worker)
    {
        Clear(worker);
        worker.Trust.MarkLossy();
    }

    private void Apply(Worker worker, int rank, KvEvent change)
    {
        // Ranks name their blocks independently: the rank is part of the group.
        change = change switch
        {
            BlocksStored stored => stored with { Group = (stored.Group * MostRanks) + rank },
            BlocksRemoved removed => removed with { Group = (removed.Group * MostRanks) + rank },
            _ => change,
        };
        if (change is BlocksStored { BlockSize: > 0 and <= LargestBlock } first)
        {
            if (!_byBlockSize.TryGetValue(first.BlockSize, out var index)) _byBlockSize[first.BlockSize] = index = new EventIndex(first.BlockSize, workers);
            index.Apply(worker.Number, change);
            // Of groups with unlike blocks the first, which attends to everything, says how far a prefix reaches.
            if (_blockSizeOf[worker.Number] == 0 || first.Group / MostRanks <= _groupOf[worker.Number])
                (_blockSizeOf[worker.Number], _groupOf[worker.Number]) = (first.BlockSize, first.Group / MostRanks);
            Measure(first.Blocks.Length);
            return;
        }
        foreach (var index in _byBlockSize.Values) index.Apply(worker.Number, change);
    }

    /// <summary>Adding up all tables takes longer than a block: it is done once in a thousand.</summary>
    private void Measure(int stored)
    {
        if ((_unmeasured += stored) < MeasureEvery) return;
        _unmeasured = 0;
        var mayGrow = _byBlockSize.Values.Sum(index => index.Bytes) < MostBytes;
        foreach (var index in _byBlockSize.Values) index.MayGrow = mayGrow;
    }

    private void Predict(EventIndex index, ReadOnlySpan<int> tokens, Span<double> device, Span<double> slower)
    {
        var chain = ArrayPool<ulong>.Shared.Rent(Math.Max(1, tokens.Length / index.BlockSize));
        Predict(index, chain.AsSpan(0, index.Name(tokens, chain)), device, slower);
        ArrayPool<ulong>.Shared.Return(chain);
    }

    private void Predict(EventIndex index, ReadOnlySpan<ulong> chain, Span<double> device, Span<double> slower)
    {
        var lengths = ArrayPool<int>.Shared.Rent(workers * Tiers);
        index.Match(chain, lengths.AsSpan(0, workers * Tiers));
        for (var worker = 0; worker < workers; worker++)
        {
            if (_blockSizeOf[worker] != index.BlockSize) continue;
            var (near, far) = (lengths[index.HolderOf(worker, KvTier.Device)], lengths[index.HolderOf(worker, KvTier.Remote)]);
            device[worker] = Math.Max(device[worker], near * index.BlockSize);
            slower[worker] = Math.Max(slower[worker], (far - near) * index.BlockSize);
        }
        ArrayPool<int>.Shared.Return(lengths);
    }
}
