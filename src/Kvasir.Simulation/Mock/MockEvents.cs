using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Collections.Immutable;
using Kvasir.Protocol.KvEvents;
using NetMQ;
using NetMQ.Sockets;

namespace Kvasir.Simulation.Mock;

/// <summary>Publishes cache events as vLLM does: topic, sequence, batch. A socket belongs to one thread, so messages go through a queue.</summary>
internal sealed class MockEvents : IDisposable
{
    private const int MostQueued = 10_000;
    private readonly BlockingCollection<(byte[] Payload, DateTimeOffset Due)> _queue = new(MostQueued);
    private readonly Thread _thread;
    private readonly MockWorkerOptions _options;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly CancellationTokenSource _stop = new();

    public MockEvents(MockWorkerOptions options, int port, TimeProvider time)
    {
        (_options, _time, _random) = (options, time, new Random(options.Seed));
        _thread = new Thread(() => Run(port)) { IsBackground = true, Name = "Mock events" };
        _thread.Start();
    }

    public void Publish(ImmutableArray<KvEvent> events)
    {
        if (events.IsEmpty) return;
        var buffer = new ArrayBufferWriter<byte>();
        KvEventWriter.Write(buffer, new KvEventBatch(_time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0, events));
        _queue.TryAdd((buffer.WrittenSpan.ToArray(), _time.GetUtcNow() + _options.EventDelay));
    }

    public void Dispose()
    {
        _queue.CompleteAdding();
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
        ulong sequence = 0;
        (byte[] Number, byte[] Payload)? late = null;
        foreach (var (payload, due) in _queue.GetConsumingEnumerable())
        {
            var number = new byte[sizeof(ulong)];
            BinaryPrimitives.WriteUInt64BigEndian(number, sequence++);
            var early = due - _time.GetUtcNow();
            if (early > TimeSpan.Zero) _stop.Token.WaitHandle.WaitOne(early);
            if (_random.NextDouble() < _options.EventLossShare) continue;
            if (late is null && _random.NextDouble() < _options.EventReorderShare)
            {
                late = (number, payload);
                continue;
            }
            Send(socket, number, payload);
            if (_random.NextDouble() < _options.EventDuplicateShare) Send(socket, number, payload);
            if (late is { } held) Send(socket, held.Number, held.Payload);
            late = null;
        }
    }

    private static void Send(PublisherSocket socket, byte[] number, byte[] payload) => socket.SendMoreFrameEmpty().SendMoreFrame(number).SendFrame(payload);
}
