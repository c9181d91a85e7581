using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Kvasir.Protocol.KvEvents;
using NetMQ;
using NetMQ.Sockets;

namespace Kvasir.Server.Events;

/// <summary>
/// Publishes what the KV cache holds as vLLM does, so that gateways that understand vLLM understand this server: a PUB
/// socket that sends topic, sequence number (8 bytes, big-endian, from 0) and a MessagePack batch, and a ROUTER socket that
/// sends again, from a number on, what is still kept, ended by the number of eight 0xFF.
/// </summary>
/// <remarks>Frames and order follow vLLM's <c>vllm/distributed/kv_events.py</c>.</remarks>
public sealed class KvEventPublisher : IDisposable
{
    private const int HighWatermark = 100_000;
    private static readonly byte[] End = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

    private readonly PublisherSocket _events = new();
    private readonly RouterSocket? _replay;
    private readonly NetMQQueue<KvEventBatch> _queue = new();
    private readonly NetMQPoller _poller = [];
    private readonly Queue<(byte[] Number, byte[] Payload)> _kept = new();
    private readonly KvEventOptions _options;
    private readonly byte[] _topic;
    private ulong _next;
    private long _keptBytes;

    /// <summary>Listens.</summary>
    /// <exception cref="ServerStartException">An address cannot be listened on.</exception>
    public KvEventPublisher(KvEventOptions options)
    {
        (_options, _topic) = (options, Encoding.UTF8.GetBytes(options.Topic));
        try
        {
            _events.Options.SendHighWatermark = HighWatermark;
            Bind(_events, options.Address);
            if (options.ReplayAddress is { } replay)
            {
                _replay = new RouterSocket();
                Bind(_replay, replay);
            }
        }
        catch
        {
            _events.Dispose();
            _replay?.Dispose();
            throw;
        }
        _queue.ReceiveReady += (_, _) => Send();
        _poller.Add(_queue);
        if (_replay is not null)
        {
            _replay.ReceiveReady += (_, _) => Replay(_replay);
            _poller.Add(_replay);
        }
        _poller.RunAsync("kvasir-kv-events", isBackgroundThread: true);
    }

    /// <summary>Port of the PUB socket.</summary>
    public int Port => PortOf(_events);

    /// <summary>Port of the ROUTER socket; 0 without one.</summary>
    public int ReplayPort => _replay is null ? 0 : PortOf(_replay);

    /// <summary>Sends a batch; for any thread. It never waits: slow receivers lose messages and ask for them again.</summary>
    public void Publish(KvEventBatch batch) => _queue.Enqueue(batch);

    /// <inheritdoc/>
    public void Dispose()
    {
        _poller.Dispose();
        _queue.Dispose();
        _replay?.Dispose();
        _events.Dispose();
    }

    private static void Bind(NetMQSocket socket, string address)
    {
        socket.Options.Linger = TimeSpan.Zero;
        try
        {
            socket.Bind(address);
        }
        catch (Exception error) when (error is NetMQException or ArgumentException or FormatException or System.Net.Sockets.SocketException)
        {
            throw new ServerStartException($"KV events cannot be published at '{address}': {error.Message} Give a free port as tcp://*:5557.", error);
        }
    }

    private static int PortOf(NetMQSocket socket) => new Uri(socket.Options.LastEndpoint!).Port;

    private void Send()
    {
        while (_queue.TryDequeue(out var batch, TimeSpan.Zero))
        {
            var buffer = new ArrayBufferWriter<byte>();
            KvEventWriter.Write(buffer, batch);
            var (number, payload) = (new byte[sizeof(ulong)], buffer.WrittenSpan.ToArray());
            BinaryPrimitives.WriteUInt64BigEndian(number, _next++);
            Keep(number, payload);
            _events.SendMoreFrame(_topic).SendMoreFrame(number).SendFrame(payload);
        }
    }

    private void Keep(byte[] number, byte[] payload)
    {
        if (_replay is null) return;
        _kept.Enqueue((number, payload));
        _keptBytes += payload.Length;
        while (_kept.Count > _options.MostKept || (_keptBytes > _options.MostKeptBytes && _kept.Count > 1)) _keptBytes -= _kept.Dequeue().Payload.Length;
    }

    private void Replay(RouterSocket socket)
    {
        var frames = new List<byte[]>();
        while (socket.TryReceiveMultipartBytes(TimeSpan.Zero, ref frames!))
        {
            // Who asks: identity, an empty frame, the first number wanted.
            if (frames.Count != 3 || frames[2].Length != sizeof(ulong)) continue;
            var start = BinaryPrimitives.ReadUInt64BigEndian(frames[2]);
            foreach (var (number, payload) in _kept)
                if (BinaryPrimitives.ReadUInt64BigEndian(number) >= start) Answer(socket, frames[0], number, payload);
            Answer(socket, frames[0], End, []);
        }
    }

    private void Answer(RouterSocket socket, byte[] identity, byte[] number, byte[] payload) =>
        socket.SendMoreFrame(identity).SendMoreFrameEmpty().SendMoreFrame(_topic).SendMoreFrame(number).TrySendFrame(TimeSpan.FromSeconds(1), payload);
}
