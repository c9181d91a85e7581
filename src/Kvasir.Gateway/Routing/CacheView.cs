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

    /// <summary>How long what was only sent is believed to be there: bursts end sooner.</summary>
    public static readonly TimeSpan Recent = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly RoutedIndex _routed, _recent;
    private readonly EventIndex _names;
    private readonly int _workers;
    private readonly TimeProvider _time;
    private bool _separatesModels;

    /// <param name="workers">Most workers.</param>
    /// <param name="time">The clock.</param>
    /// <param name="http">Asks workers whose events must be fetched.</param>
    public CacheView(int workers, TimeProvider time, HttpClient? http = null)
    {
        (_workers, _time) = (workers, time);
        _routed = new RoutedIndex(workers, DefaultCapacityTokens / BlockTokens);
        _recent = new RoutedIndex(workers, RecentBlocks, (long)(Recent.TotalSeconds * time.TimestampFrequency));
        _names = new EventIndex(BlockTokens, 1);
        Events = new EventSources(workers, time, http);
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
        var approximate = false;
        foreach (var worker in workers)
        {
            approximate |= !IsExact(worker, prompt);
            if (worker.Models.Length > 1) _separatesModels = true;
        }
        var blocks = Name(prompt, chain);
        lock (_lock)
        {
            // A fleet of publishers needs only what was sent a moment ago.
            if (approximate) _routed.Match(chain.AsSpan(0, blocks), _time.GetTimestamp(), routed);
            _recent.Match(chain.AsSpan(0, blocks), _time.GetTimestamp(), recent);
        }
        // What publishes events serves one model, and names no model in them.
        if (prompt.AreTokens) Events.Predict(prompt, chain.AsSpan(0, blocks), _separatesModels ? 0 : BlockTokens, device, slower);
        // The last token is always computed, and with it its block.
        var most = Math.Max(0, (prompt.Ids.Length - 1) / BlockTokens);
        foreach (var worker in workers)
        {
            var number = worker.Number;
            var sent = Math.Min(most, IsExact(worker, prompt) ? recent[number] : Math.Max(recent[number], routed[number])) * BlockTokens * prompt.PerId;
            slower[number] = Math.Max(0, slower[number] - Math.Max(0, sent - device[number]));
            device[number] = Math.Max(device[number], sent);
        }
        ArrayPool<int>.Shared.Return(lengths);
        ArrayPool<ulong>.Shared.Return(chain);
    }

    /// <summary>Whether a worker's own events answer for a prompt: they are there, and told of most that was found there lately.</summary>
    public bool IsExact(Worker worker, PromptTokens prompt) => prompt.AreTokens && Events.Knows(worker) && !worker.Trust.AreEventsMissing;

    /// <summary>A prompt is being sent to a worker, which will hold it soon if all goes well.</summary>
    public void Note(Worker worker, PromptTokens prompt) => Name(prompt, chain => _recent.Note(worker.Number, chain, _time.GetTimestamp()));

    /// <summary>The worker failed before it answered.</summary>
    public void Withdraw(Worker worker, PromptTokens prompt) => Name(prompt, chain => _recent.Forget(worker.Number, chain));

    /// <summary>A worker answered a prompt, which it therefore holds.</summary>
    public void Confirm(Worker worker, PromptTokens prompt)
    {
        var capacity = worker.Address.CapacityTokens ?? worker.Reading.CapacityTokens ?? DefaultCapacityTokens;
        Name(prompt, chain =>
        {
            _routed.SetCapacity(worker.Number, (int)Math.Clamp(capacity / prompt.PerId / BlockTokens, 1, MostCapacityBlocks));
            _routed.Note(worker.Number, chain, _time.GetTimestamp());
        });
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

    private void Name(PromptTokens prompt, Action<ReadOnlySpan<ulong>> take)
    {
        var chain = ArrayPool<ulong>.Shared.Rent(Math.Max(1, prompt.Ids.Length / BlockTokens));
        var blocks = Name(prompt, chain);
        lock (_lock) take(chain.AsSpan(0, blocks));
        ArrayPool<ulong>.Shared.Return(chain);
    }

    /// <summary>Of text, the model is part of the names: a worker keeps its models' caches apart. Of tokens, an adapter that events tell of, and the model once a worker has several.</summary>
    private int Name(PromptTokens prompt, ulong[] chain) =>
        _names.Name(prompt.Ids, chain, !prompt.AreTokens || _separatesModels || prompt.Model is { } model && Events.KnowsAdapter(model) ? prompt.Model : null, prompt.Salt);
}
