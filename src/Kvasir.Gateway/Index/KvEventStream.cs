using Kvasir.Protocol.KvEvents;

namespace Kvasir.Gateway.Index;

/// <summary>What a stream asks of its owner after a message.</summary>
public enum StreamNeed
{
    /// <summary>Nothing.</summary>
    None,
    /// <summary>Messages are missing: ask the publisher to replay from <see cref="KvEventStream.Wanted"/>.</summary>
    Replay,
}

/// <summary>
/// Puts the messages of one publisher (one worker, one rank) in order and applies them. A gap is never passed over in
/// silence: missing messages are replayed, or everything about the worker is forgotten, since a removal may be among what
/// was lost. A publisher that counts from zero again has restarted with an empty cache. Owned by one thread.
/// </summary>
public sealed class KvEventStream(Action<KvEventBatch> apply, Action forget, bool canReplay)
{
    private const int MostHeld = 4096;
    private readonly SortedDictionary<ulong, KvEventBatch> _held = [];
    private double _lastSeconds = double.NegativeInfinity;
    private bool _started;

    /// <summary>Messages that came, replayed ones included.</summary>
    public long Received { get; private set; }

    /// <summary>The next sequence number that may be applied.</summary>
    public ulong Wanted { get; private set; }

    /// <summary>Messages that were lost for good.</summary>
    public long Lost { get; private set; }

    /// <summary>Gaps that were found.</summary>
    public long Gaps { get; private set; }

    /// <summary>Messages that could not be read.</summary>
    public long Unreadable { get; private set; }

    /// <summary>Restarts of the publisher that were noticed.</summary>
    public long Restarts { get; private set; }

    /// <summary>When the newest applied message was sent, by the publisher's clock, in seconds since 1970; negative infinity before the first.</summary>
    public double NewestSeconds => _lastSeconds;

    /// <summary>A live message came.</summary>
    public StreamNeed Receive(ulong sequence, ReadOnlyMemory<byte> payload)
    {
        if (KvEventReader.TryRead(payload, out var batch, out _)) return Receive(sequence, batch);
        ReceiveUnreadable(sequence);
        return StreamNeed.None;
    }

    /// <summary>A live message came that could be read.</summary>
    public StreamNeed Receive(ulong sequence, KvEventBatch batch)
    {
        Received++;
        if (sequence < Wanted)
        {
            if (batch.TimestampSeconds <= _lastSeconds) return StreamNeed.None;
            // An old number with a new time: the publisher counts from zero again, its cache is empty.
            Restart();
        }
        _held[sequence] = batch;
        ApplyHeld();
        if (_held.Count == 0)
        {
            _started = true;
            return StreamNeed.None;
        }
        // The first message ever is a gap too, unless it is number zero: the cache may hold what was published before.
        if (!_started || _held.Count == 1) Gaps++;
        _started = true;
        if (canReplay && _held.Count < MostHeld) return StreamNeed.Replay;
        GiveUp(_held.Keys.First());
        return StreamNeed.None;
    }

    /// <summary>A live message came that could not be read: what it said is unknown, so it counts as lost.</summary>
    public void ReceiveUnreadable(ulong sequence)
    {
        Received++;
        Unreadable++;
        // One that was read before would be read again: a low number is a publisher that restarted, perhaps as another release.
        if (sequence < Wanted) Restart();
        GiveUp(sequence + 1);
    }

    /// <summary>A replayed message came.</summary>
    public void ReceiveReplayed(ulong sequence, ReadOnlyMemory<byte> payload)
    {
        if (sequence < Wanted || !KvEventReader.TryRead(payload, out var batch, out _)) return;
        Received++;
        _started = true;
        _held.TryAdd(sequence, batch);
        ApplyHeld();
    }

    /// <summary>The replay ended, or never came: what is still missing is lost.</summary>
    public void EndReplay()
    {
        ApplyHeld();
        while (_held.Count > 0) GiveUp(_held.Keys.First());
    }

    private void Restart()
    {
        Restarts++;
        forget();
        _held.Clear();
        (Wanted, _started) = (0, false);
    }

    private void GiveUp(ulong next)
    {
        Lost += (long)(next - Wanted);
        forget();
        Wanted = next;
        ApplyHeld();
    }

    private void ApplyHeld()
    {
        while (_held.Remove(Wanted, out var batch))
        {
            apply(batch);
            _lastSeconds = Math.Max(_lastSeconds, batch.TimestampSeconds);
            Wanted++;
        }
    }
}
