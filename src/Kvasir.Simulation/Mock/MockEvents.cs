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
    private readonly BlockingCollection<byte[]?> _queue = new(MostQueued);
    private readonly Thread _thread;
    private readonly MockWorkerOptions _options;
    private readonly TimeProvider _time;
    private readonly Random _random;

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
        _queue.TryAdd(buffer.WrittenSpan.ToArray());
    }

    public void Dispose()
    {
        _queue.CompleteAdding();
        _thread.Join();
        _queue.Dispose();
    }

    private void Run(int port)
    {
        using var socket = new PublisherSocket();
        socket.Options.Linger = TimeSpan.Zero;
        socket.Bind($"tcp://127.0.0.1:{port}");
        ulong sequence = 0;
        foreach (var payload in _queue.GetConsumingEnumerable())
        {
            var number = new byte[sizeof(ulong)];
            BinaryPrimitives.WriteUInt64BigEndian(number, sequence++);
            if (_random.NextDouble() < _options.EventLossShare) continue;
            socket.SendMoreFrameEmpty().SendMoreFrame(number).SendFrame(payload!);
        }
    }
}
