using System.Buffers.Binary;
using System.Diagnostics;
using Kvasir.Protocol.KvEvents;
using NetMQ;
using NetMQ.Sockets;

namespace Kvasir.Gateway.Index;

/// <summary>
/// Subscribes to the cache events of one publisher over ZeroMQ: frames topic, sequence (8 bytes, big-endian), payload.
/// What was published before, and missing messages, are asked for at the replay address (frames empty, start; answers with
/// or without a topic, ended by the sequence of eight 0xFF), as vLLM and SGLang serve it: at the start, at every gap, and
/// whenever nothing came for a while, since a message that was lost last leaves no gap.
/// </summary>
public sealed class KvEventSubscriber : IKvEventFeed
{
    /// <summary>Silence after which what may be missing is asked for.</summary>
    public static readonly TimeSpan QuietBeforeReplay = TimeSpan.FromSeconds(10);

    private const int HighWatermark = 100_000;
    private static readonly TimeSpan ReplayIdle = TimeSpan.FromSeconds(2), Pause = TimeSpan.FromMilliseconds(100);
    private readonly string _address;
    private readonly string? _replayAddress;
    private readonly KvEventStream _stream;
    private readonly Thread _thread;
    private volatile bool _stop;

    /// <param name="address">Where events are published: <c>tcp://10.0.0.1:5557</c>.</param>
    /// <param name="replayAddress">Where lost ones may be asked for, or null.</param>
    /// <param name="apply">Called on the subscriber's thread, in order.</param>
    /// <param name="forget">Called when events were lost for good or the publisher restarted.</param>
    public KvEventSubscriber(string address, string? replayAddress, Action<KvEventBatch> apply, Action forget)
    {
        (_address, _replayAddress) = (address, replayAddress);
        _stream = new KvEventStream(apply, forget, replayAddress is not null);
        _thread = new Thread(Run) { IsBackground = true, Name = $"KV events of {address}" };
        _thread.Start();
    }

    /// <summary>What was received, lost and restarted.</summary>
    public KvEventStream Stream => _stream;

    /// <inheritdoc/>
    public KvEventCounts Counts => KvEventCounts.Of(_stream);

    /// <inheritdoc/>
    public void Dispose()
    {
        _stop = true;
        _thread.Join();
    }

    private void Run()
    {
        using var socket = new SubscriberSocket();
        socket.Options.ReceiveHighWatermark = HighWatermark;
        socket.Options.Linger = TimeSpan.Zero;
        socket.Connect(_address);
        socket.SubscribeToAnyTopic();
        // What comes live meanwhile waits in the socket.
        Replay();
        var frames = new List<byte[]>();
        var quietSince = Stopwatch.GetTimestamp();
        while (!_stop)
        {
            frames.Clear();
            if (!socket.TryReceiveMultipartBytes(Pause, ref frames!))
            {
                if (Stopwatch.GetElapsedTime(quietSince) < QuietBeforeReplay) continue;
                Replay();
                quietSince = Stopwatch.GetTimestamp();
                continue;
            }
            quietSince = Stopwatch.GetTimestamp();
            // The topic may be missing where a publisher sends none.
            if (frames.Count < 2 || frames[^2].Length != sizeof(ulong)) continue;
            if (_stream.Receive(BinaryPrimitives.ReadUInt64BigEndian(frames[^2]), frames[^1]) == StreamNeed.Replay) Replay();
        }
    }

    private void Replay()
    {
        if (_replayAddress is null) return;
        using var socket = new DealerSocket();
        socket.Options.Linger = TimeSpan.Zero;
        socket.Connect(_replayAddress);
        var start = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64BigEndian(start, _stream.Wanted);
        socket.SendMoreFrameEmpty().SendFrame(start);
        var frames = new List<byte[]>();
        while (!_stop)
        {
            frames.Clear();
            if (!socket.TryReceiveMultipartBytes(ReplayIdle, ref frames!)) break;
            if (frames.Count < 2 || frames[^2].Length != sizeof(ulong)) continue;
            var sequence = BinaryPrimitives.ReadUInt64BigEndian(frames[^2]);
            if (sequence == ulong.MaxValue) break;
            _stream.ReceiveReplayed(sequence, frames[^1]);
        }
        _stream.EndReplay();
    }
}
