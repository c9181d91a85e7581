using System.Collections.Concurrent;
using System.Diagnostics;
using System.Threading.Channels;

namespace Kvasir.Engine.KvCache.Tiers;

/// <summary>
/// Blocks on a Redis server, which machines with the same model share. Nothing waits for the network: what requests leave
/// is sent beside computation, and what a request needs is fetched into host memory before the request begins, within a
/// time that computing it would take. A server that fails is left alone for a while; requests go on without it.
/// </summary>
internal sealed class RemoteTier : IDisposable
{
    /// <summary>Blocks that may wait to be sent, and blocks that may wait to be taken over from the network.</summary>
    public const int SendBuffers = 8, FetchBuffers = 16;

    /// <summary>Names remembered as sent or seen, so that they are not sent again.</summary>
    private const int MostKnown = 65_536;

    /// <summary>Of the fetches not worth while, one in so many is made all the same, for speeds change.</summary>
    private const int ProbeEvery = 64;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5), LastSend = TimeSpan.FromSeconds(5);

    private readonly KvMemory _device;
    private readonly HostTier _host;
    private readonly RemoteStore _store;
    private readonly Action<string> _warn;
    private readonly Action _wake;
    private readonly HashSet<UInt128> _known = [];
    private readonly Channel<(PageLabel Label, byte[] Payload)> _outbox = Channel.CreateUnbounded<(PageLabel, byte[])>(new() { SingleReader = true });
    private readonly ConcurrentBag<byte[]> _sendBuffers = [];
    private readonly ConcurrentBag<byte[]> _fetchBuffers = [];
    private readonly SemaphoreSlim _freeToFetch = new(FetchBuffers);
    private readonly ConcurrentQueue<(RemoteFetch Fetch, PageLabel Label, byte[] Payload)> _fetched = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _sender;
    private int _sending, _unworthy, _isDown;
    private long _stored, _loaded, _damaged, _pausedUntil;
    private double _secondsPerBlock;

    /// <param name="device">Where blocks come from.</param>
    /// <param name="host">Where fetched blocks go.</param>
    /// <param name="store">The server; owned from now on.</param>
    /// <param name="warn">Told once per outage.</param>
    /// <param name="wake">Called when something was fetched or sent.</param>
    public RemoteTier(KvMemory device, HostTier host, RemoteStore store, Action<string> warn, Action wake)
    {
        (_device, _host, _store, _warn, _wake) = (device, host, store, warn, wake);
        for (var i = 0; i < SendBuffers; i++) _sendBuffers.Add(new byte[device.BlockBytes]);
        for (var i = 0; i < FetchBuffers; i++) _fetchBuffers.Add(new byte[device.BlockBytes]);
        _sender = Task.Run(SendAsync);
    }

    /// <summary>Told of each block that came to host memory.</summary>
    public Action<PageLabel>? Came { get; set; }

    /// <summary>Whether the server failed a moment ago.</summary>
    public bool IsPaused => Stopwatch.GetTimestamp() < Volatile.Read(ref _pausedUntil);

    /// <summary>Whether a block can be taken now.</summary>
    public bool HasBuffer => !_sendBuffers.IsEmpty;

    /// <summary>Whether blocks are on their way to the server.</summary>
    public bool IsSending => Volatile.Read(ref _sending) > 0;

    /// <summary>What it did so far.</summary>
    /// <param name="blockBytes">Bytes of a block.</param>
    public KvTierState State(int blockBytes) => new("remote", 0, 0, Volatile.Read(ref _stored), _loaded, 0, Volatile.Read(ref _damaged), _secondsPerBlock == 0 ? 0 : blockBytes / _secondsPerBlock, IsPaused);

    /// <summary>Takes a copy of a block to send it, unless the server has it by all that is known. Needs <see cref="HasBuffer"/>.</summary>
    public void Store(int block, in PageLabel label)
    {
        if (IsPaused || !Know(label.Name) || !_sendBuffers.TryTake(out var buffer)) return;
        _device.Save(block, buffer);
        Interlocked.Increment(ref _sending);
        _outbox.Writer.TryWrite((label, buffer));
    }

    /// <summary>Begins to fetch blocks that follow one another, as far as the server has them; null when that is not worth while.</summary>
    /// <param name="wanted">The blocks, first to last.</param>
    /// <param name="computeSeconds">What computing one takes; 0 while unknown.</param>
    public RemoteFetch? Begin(IReadOnlyList<PageLabel> wanted, double computeSeconds)
    {
        if (IsPaused || wanted.Count == 0 || (computeSeconds > 0 && _secondsPerBlock > computeSeconds && ++_unworthy % ProbeEvery != 0)) return null;
        var limit = computeSeconds > 0 ? TimeSpan.FromSeconds(Math.Max(0.05, wanted.Count * computeSeconds)) : RemoteStore.Timeout;
        var fetch = new RemoteFetch(wanted, limit);
        _ = Task.Run(() => FetchAsync(fetch));
        return fetch;
    }

    /// <summary>Between steps: what came goes to host memory.</summary>
    public void Collect()
    {
        while (_fetched.TryDequeue(out var item))
        {
            if (_host.Store(item.Payload, item.Label))
            {
                _loaded++;
                Came?.Invoke(item.Label);
            }
            Know(item.Label.Name);
            GiveBack(item.Payload);
            item.Fetch.Taken();
        }
    }

    /// <summary>Forgets everything of this model, on the server too.</summary>
    public void Clear()
    {
        _known.Clear();
        _ = Task.Run(async () =>
        {
            try
            {
                await _store.ClearAsync().ConfigureAwait(false);
            }
            catch (Exception error) when (RemoteStore.IsFailure(error))
            {
                Fail(error);
            }
        });
    }

    /// <summary>After what was taken has been sent, within a bound.</summary>
    public void Dispose()
    {
        _outbox.Writer.TryComplete();
        _sender.Wait(LastSend);
        _stop.Cancel();
        _store.Dispose();
        _freeToFetch.Dispose();
        _stop.Dispose();
    }

    private bool Know(UInt128 name)
    {
        if (_known.Count == MostKnown) _known.Clear();
        return _known.Add(name);
    }

    private async Task SendAsync()
    {
        await foreach (var (label, payload) in _outbox.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            try
            {
                if (!IsPaused)
                {
                    if (await _store.PutAsync(label, payload).ConfigureAwait(false)) Interlocked.Increment(ref _stored);
                    _isDown = 0;
                }
            }
            catch (Exception error) when (RemoteStore.IsFailure(error))
            {
                Fail(error);
            }
            _sendBuffers.Add(payload);
            Interlocked.Decrement(ref _sending);
            _wake();
        }
    }

    private async Task FetchAsync(RemoteFetch fetch)
    {
        var started = Stopwatch.GetTimestamp();
        var came = 0;
        try
        {
            var present = await _store.CountAsync(fetch.Wanted).ConfigureAwait(false);
            _isDown = 0;
            for (; came < present && !fetch.IsLate; came++)
            {
                var (label, payload) = (fetch.Wanted[came], await TakeBufferAsync().ConfigureAwait(false));
                if (!await IsFetchedAsync(label, payload).ConfigureAwait(false)) break;
                fetch.Came();
                _fetched.Enqueue((fetch, label, payload));
                _wake();
            }
        }
        catch (Exception error) when (RemoteStore.IsFailure(error))
        {
            Fail(error);
        }
        catch (Exception error) when (error is OperationCanceledException or ObjectDisposedException)
        {
            // The engine ends.
        }
        if (came > 0)
        {
            var each = Stopwatch.GetElapsedTime(started).TotalSeconds / came;
            _secondsPerBlock = _secondsPerBlock == 0 ? each : _secondsPerBlock + (0.25 * (each - _secondsPerBlock));
        }
        fetch.End();
        _wake();
    }

    private async Task<bool> IsFetchedAsync(PageLabel label, byte[] payload)
    {
        var isThere = false;
        try
        {
            isThere = await _store.TryGetAsync(label, payload).ConfigureAwait(false);
            // It was there a moment ago: gone since, or not what was sent.
            if (!isThere) Interlocked.Increment(ref _damaged);
            return isThere;
        }
        finally
        {
            if (!isThere) GiveBack(payload);
        }
    }

    private async Task<byte[]> TakeBufferAsync()
    {
        await _freeToFetch.WaitAsync(_stop.Token).ConfigureAwait(false);
        return _fetchBuffers.TryTake(out var buffer) ? buffer : throw new InvalidOperationException("A free buffer is missing.");
    }

    private void GiveBack(byte[] buffer)
    {
        _fetchBuffers.Add(buffer);
        _freeToFetch.Release();
    }

    private void Fail(Exception error)
    {
        Volatile.Write(ref _pausedUntil, Stopwatch.GetTimestamp() + (long)(Pause.TotalSeconds * Stopwatch.Frequency));
        if (Interlocked.Exchange(ref _isDown, 1) == 0) _warn($"The remote KV tier does not answer: {error.Message} Requests are served without it; it is tried again every {Pause.TotalSeconds:0} s.");
    }
}
