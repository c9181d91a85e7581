using System.Buffers;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Index;
using Kvasir.Gateway.Requests;

namespace Kvasir.Gateway.Routing;

/// <summary>
/// What all sources together say about workers' caches. A worker that publishes events is known by them and, for a short
/// while, by what was just sent there (a burst of equal prompts must not scatter before the first event); any other by
/// what was sent there and fits its capacity.
/// </summary>
public sealed class CacheView : IDisposable
{
    /// <summary>Tokens (or groups of four bytes) per block of the approximate indexes.</summary>
    public const int BlockTokens = 16;

    private const int DefaultCapacityTokens = 1 << 20, RecentBlocks = 1 << 15, MostCapacityBlocks = 1 << 22;
    private static readonly TimeSpan Recent = TimeSpan.FromSeconds(30);
    private readonly Lock _lock = new();
    private readonly RoutedIndex _routed, _recent;
    private readonly EventIndex _names;
    private readonly int _workers;
    private readonly TimeProvider _time;

    /// <param name="workers">Most workers.</param>
    /// <param name="time">The clock.</param>
    public CacheView(int workers, TimeProvider time)
    {
        (_workers, _time) = (workers, time);
        _routed = new RoutedIndex(workers, DefaultCapacityTokens / BlockTokens);
        _recent = new RoutedIndex(workers, RecentBlocks, (long)(Recent.TotalSeconds * time.TimestampFrequency));
        _names = new EventIndex(BlockTokens, 1);
        Events = new EventSources(workers);
    }

    /// <summary>What workers publish.</summary>
    public EventSources Events { get; }

    /// <summary>Bytes of all indexes.</summary>
    public long Bytes { get { lock (_lock) return _routed.Bytes + _recent.Bytes + Events.Bytes; } }

    /// <summary>Tokens of the prompt that each worker probably holds.</summary>
    /// <param name="prompt">The prompt.</param>
    /// <param name="workers">Those that are asked about.</param>
    /// <param name="device">Result [workers]: on the device.</param>
    /// <param name="slower">Result [workers]: beyond that, on slower tiers.</param>
    public void Predict(PromptTokens prompt, ReadOnlySpan<Worker> workers, Span<double> device, Span<double> slower)
    {
        device.Clear();
        slower.Clear();
        var chain = ArrayPool<ulong>.Shared.Rent(Math.Max(1, prompt.Ids.Length / BlockTokens));
        var lengths = ArrayPool<int>.Shared.Rent(2 * _workers);
        var routed = lengths.AsSpan(0, _workers);
        var recent = lengths.AsSpan(_workers, _workers);
        var blocks = _names.Name(prompt.Ids, chain);
        var approximate = false;
        foreach (var worker in workers) approximate |= !IsExact(worker, prompt);
        lock (_lock)
        {
            // A fleet of publishers needs only what was sent a moment ago.
            if (approximate) _routed.Match(chain.AsSpan(0, blocks), _time.GetTimestamp(), routed);
            if (prompt.AreTokens) _recent.Match(chain.AsSpan(0, blocks), _time.GetTimestamp(), recent);
        }
        if (prompt.AreTokens) Events.Predict(prompt.Ids, chain.AsSpan(0, blocks), BlockTokens, device, slower);
        foreach (var worker in workers)
        {
            var number = worker.Number;
            var sent = (IsExact(worker, prompt) ? recent[number] : routed[number]) * BlockTokens * prompt.PerId;
            slower[number] = Math.Max(0, slower[number] - Math.Max(0, sent - device[number]));
            device[number] = Math.Max(device[number], sent);
        }
        ArrayPool<int>.Shared.Return(lengths);
        ArrayPool<ulong>.Shared.Return(chain);
    }

    /// <summary>Whether a worker's own events answer for a prompt.</summary>
    public bool IsExact(Worker worker, PromptTokens prompt) => prompt.AreTokens && Events.Knows(worker);

    /// <summary>A prompt was sent to a worker, which will hold it soon.</summary>
    public void Note(Worker worker, PromptTokens prompt)
    {
        var chain = ArrayPool<ulong>.Shared.Rent(Math.Max(1, prompt.Ids.Length / BlockTokens));
        var blocks = _names.Name(prompt.Ids, chain);
        var capacity = worker.Address.CapacityTokens ?? worker.Reading.CapacityTokens ?? DefaultCapacityTokens;
        lock (_lock)
        {
            _routed.SetCapacity(worker.Number, (int)Math.Clamp(capacity / prompt.PerId / BlockTokens, 1, MostCapacityBlocks));
            _routed.Note(worker.Number, chain.AsSpan(0, blocks), _time.GetTimestamp());
            if (prompt.AreTokens) _recent.Note(worker.Number, chain.AsSpan(0, blocks), _time.GetTimestamp());
        }
        ArrayPool<ulong>.Shared.Return(chain);
    }

    /// <summary>Forgets a worker: it left or restarted.</summary>
    public void Clear(Worker worker)
    {
        lock (_lock)
        {
            _routed.Clear(worker.Number);
            _recent.Clear(worker.Number);
        }
        Events.Clear(worker);
        worker.Trust.Reset();
    }

    /// <inheritdoc/>
    public void Dispose() => Events.Dispose();
}
