using System.Buffers;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Index;
using Kvasir.Gateway.Requests;

namespace Kvasir.Gateway.Routing;

/// <summary>What all sources together say about workers' caches.</summary>
public sealed class CacheView
{
    /// <summary>Tokens (or groups of four bytes) per block of the approximate index.</summary>
    public const int BlockTokens = 32;

    private const int DefaultCapacityTokens = 1 << 20;
    private readonly Lock _lock = new();
    private readonly RoutedIndex _routed;
    private readonly EventIndex _names;
    private readonly int _workers;
    private readonly TimeProvider _time;

    /// <param name="workers">Most workers.</param>
    /// <param name="time">The clock.</param>
    public CacheView(int workers, TimeProvider time)
    {
        (_workers, _time) = (workers, time);
        _routed = new RoutedIndex(workers, DefaultCapacityTokens / BlockTokens);
        _names = new EventIndex(BlockTokens, 1);
    }

    /// <summary>Bytes of all indexes.</summary>
    public long Bytes { get { lock (_lock) return _routed.Bytes; } }

    /// <summary>Tokens of the prompt that each worker probably holds.</summary>
    /// <param name="prompt">The prompt.</param>
    /// <param name="cached">Result [workers].</param>
    public void Predict(PromptTokens prompt, Span<double> cached)
    {
        cached.Clear();
        var chain = ArrayPool<ulong>.Shared.Rent(Math.Max(1, prompt.Ids.Length / BlockTokens));
        var lengths = ArrayPool<int>.Shared.Rent(_workers);
        var blocks = _names.Name(prompt.Ids, chain);
        lock (_lock) _routed.Match(chain.AsSpan(0, blocks), _time.GetTimestamp(), lengths.AsSpan(0, _workers));
        for (var worker = 0; worker < cached.Length; worker++) cached[worker] = lengths[worker] * BlockTokens * prompt.PerId;
        ArrayPool<int>.Shared.Return(lengths);
        ArrayPool<ulong>.Shared.Return(chain);
    }

    /// <summary>A prompt was sent to a worker, which will hold it soon.</summary>
    public void Note(Worker worker, PromptTokens prompt)
    {
        var chain = ArrayPool<ulong>.Shared.Rent(Math.Max(1, prompt.Ids.Length / BlockTokens));
        var blocks = _names.Name(prompt.Ids, chain);
        var capacity = worker.Address.CapacityTokens ?? worker.Reading.CapacityTokens ?? DefaultCapacityTokens;
        lock (_lock)
        {
            _routed.SetCapacity(worker.Number, (int)Math.Clamp(capacity / prompt.PerId / BlockTokens, 1, 1 << 24));
            _routed.Note(worker.Number, chain.AsSpan(0, blocks), _time.GetTimestamp());
        }
        ArrayPool<ulong>.Shared.Return(chain);
    }

    /// <summary>Forgets a worker: it left or restarted.</summary>
    public void Clear(Worker worker)
    {
        lock (_lock) _routed.Clear(worker.Number);
        worker.Trust.Reset();
    }
}
