using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Collections.Immutable;
using Kvasir.Protocol.KvEvents;
using NetMQ;
using NetMQ.Sockets;

namespace Kvasir.Simulation.Mock;

/// <summary>
/// Publishes cache events as vLLM and SGLang do: topic, sequence, batch; and gives those that were published again to whoever
/// asks. A socket belongs to one thread, so messages go through a queue.
/// </summary>
internal sealed class MockEvents : IDisposable
{
    private const int MostQueued = 10_000;
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(20);
    private readonly BlockingCollection<(byte[] Payload, DateTimeOffset Due)> _queue = new(MostQueued);
    private readonly Queue<(ulong Number, byte[] Payload)> _published = [];
    private readonly Thread _thread;
    private readonly MockWorkerOptions _options;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly CancellationTokenSource _stop = new();
    private (byte[] Number, byte[] Payload)? _late;
    private ulong _sequence;

    public MockEvents(MockWorkerOptions options, int port, TimeProvider time)
    {
        (_options, _time, _random) = (options, time, new Random(options.Seed));
        _thread = new Thread(() => Run(port)) { IsBackground = true, Name = "Mock events" };
        _thread.Start();
    }

    public void Publish(ImmutableArray<KvEvent> events)
    {
        if (events.IsEmpty) return;
        var batch = new KvEventBatch(_time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0, events);
        var buffer = new ArrayBufferWriter<byte>();
        if (_options.SgLang) SgLangEvents.Write(buffer, batch);
        else KvEventWriter.Write(buffer, batch);
        _queue.TryAdd((buffer.WrittenSpan.ToArray(), _time.GetUtcNow() + _options.EventDelay));
    }

    public void Dispose()
    {
        _stop.Cancel();
        _thread.Join();
        _queue.Dispose();
        _stop.Dispose();
    }

    private void Run(int port)
    {
        using var socket = new PublisherSocket();
        socket.Options.Linger = TimeSpan.Zero;
        socket.Bind($"tcp://127.0.0.1:{port}");
        using var replay = _options.ReplayPort is null ? null : new RouterSocket();
        if (replay is not null)
        {
            replay.Options.Linger = TimeSpan.Zero;
            replay.Bind($"tcp://127.0.0.1:{_options.ReplayPort}");
        }
        while (!_stop.IsCancellationRequested)
        {
            if (replay is not null) Answer(replay);
            if (!_queue.TryTake(out var message, BetweenLooks)) continue;
            var early = message.Due - _time.GetUtcNow();
            if (early > TimeSpan.Zero) _stop.Token.WaitHandle.WaitOne(early);
            Send(socket, message.Payload);
        }
    }

    private void Send(PublisherSocket socket, byte[] payload)
    {
        var number = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64BigEndian(number, _sequence);
        _published.Enqueue((_sequence++, payload));
        if (_published.Count > _options.ReplayMessages) _published.Dequeue();
        if (_random.NextDouble() < _options.EventLossShare) return;
        // 0xC1 is the one byte that MessagePack never uses.
        if (_random.NextDouble() < _options.EventGarbleShare) payload = [0xC1, .. payload];
        if (_late is null && _random.NextDouble() < _options.EventReorderShare)
        {
            _late = (number, payload);
            return;
        }
        Send(socket, number, payload);
        if (_random.NextDouble() < _options.EventDuplicateShare) Send(socket, number, payload);
        if (_late is { } held) Send(socket, held.Number, held.Payload);
        _late = null;
    }

    /// <summary>Frames of a request: who asks, empty, the first number wanted. Answers: SGLang's lack the topic.</summary>
    private void Answer(RouterSocket socket)
    {
        var asked = new List<byte[]>();
        while (socket.TryReceiveMultipartBytes(TimeSpan.Zero, ref asked!, 3))
        {
            var first = BinaryPrimitives.ReadUInt64BigEndian(asked[^1]);
            foreach (var (number, payload) in _published)
                if (number >= first) Send(socket, asked[0], number, payload);
            Send(socket, asked[0], ulong.MaxValue, []);
        }
    }

    private void Send(RouterSocket socket, byte[] to, ulong number, byte[] payload)
    {
        var bytes = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, number);
        var message = socket.SendMoreFrame(to).SendMoreFrameEmpty();
        if (!_options.SgLang) message = message.SendMoreFrameEmpty();
        message.SendMoreFrame(bytes).SendFrame(payload);
    }

    private static void Send(PublisherSocket socket, byte[] number, byte[] payload) => socket.SendMoreFrameEmpty().SendMoreFrame(number).SendFrame(payload);
}
