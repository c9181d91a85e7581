using System.Text.Json;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Gateway.Index;

/// <summary>
/// Fetches the cache events of a TensorRT-LLM server, which gives each of them once, to whoever asks first: there may be no
/// other reader, and no second request while one runs. Numbers of events that are missing went to somebody else or were
/// lost on the way; nothing replays them.
/// </summary>
public sealed class KvEventPoller : IKvEventFeed
{
    private const int LargestAnswer = 64 << 20;

    /// <summary>Older releases hold an answer back for two seconds while there is none.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(20), Longest = TimeSpan.FromMilliseconds(250), AfterFailure = TimeSpan.FromSeconds(1);
    private readonly Uri _address;
    private readonly string? _key;
    private readonly HttpClient _http;
    private readonly TimeProvider _time;
    private readonly Action<int, KvEventBatch> _apply;
    private readonly Action<int> _forget;
    private readonly TensorRtEvents _reader = new();
    private readonly Dictionary<int, KvEventStream> _streams = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;

    /// <param name="address">Where events are asked for: <c>http://10.0.0.1:8000/kv_cache_events</c>.</param>
    /// <param name="key">Key that requests carry, or null.</param>
    /// <param name="http">Asks.</param>
    /// <param name="time">The clock.</param>
    /// <param name="apply">Takes a rank's events, in order, one call at a time.</param>
    /// <param name="forget">Called when events of a rank were lost for good or it restarted.</param>
    public KvEventPoller(Uri address, string? key, HttpClient http, TimeProvider time, Action<int, KvEventBatch> apply, Action<int> forget)
    {
        (_address, _key, _http, _time, _apply, _forget) = (address, key, http, time, apply, forget);
        _running = Task.Run(RunAsync);
    }

    /// <inheritdoc/>
    public KvEventCounts Counts
    {
        get
        {
            lock (_streams) return _streams.Values.Aggregate(new KvEventCounts(0, 0, 0, 0, 0, double.NegativeInfinity), (sum, stream) => sum + KvEventCounts.Of(stream));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stop.Cancel();
        _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing).GetAwaiter().GetResult();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        var pause = Shortest;
        while (!_stop.IsCancellationRequested)
        {
            pause = await AskAsync() switch
            {
                null => AfterFailure,
                > 0 => Shortest,
                _ => TimeSpan.FromTicks(Math.Min(Longest.Ticks, pause.Ticks * 2)),
            };
            await Task.Delay(pause, _time, _stop.Token);
        }
    }

    /// <summary>Asks once; the number of events that came, or null where the worker did not answer.</summary>
    private async Task<int?> AskAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        limit.CancelAfter(Patience);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, _address);
            if (_key is not null) request.Headers.Authorization = new("Bearer", _key);
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            if (!response.IsSuccessStatusCode) return null;
            await response.Content.LoadIntoBufferAsync(LargestAnswer, limit.Token);
            return Take(await response.Content.ReadAsByteArrayAsync(limit.Token));
        }
        catch (Exception error) when (error is HttpRequestException or IOException || error is OperationCanceledException && !_stop.IsCancellationRequested)
        {
            return null;
        }
    }

    private int Take(byte[] answer)
    {
        // Numbers rise within one process; an answer's time orders it after all before, as a message's own time would.
        var now = _time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0;
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(answer);
        }
        catch (JsonException)
        {
            // It was drained all the same, so what it said is lost; the next numbers will tell how much.
            return 0;
        }
        using (document)
        {
            if (document.RootElement.ValueKind != JsonValueKind.Array) return 0;
            foreach (var item in document.RootElement.EnumerateArray())
            {
                var (number, rank) = TensorRtEvents.Place(item);
                lock (_streams)
                {
                    if (number is not { } sequence || rank is < 0 or >= EventIndex.MostRanks) continue;
                    var stream = StreamOf(rank);
                    if (_reader.Read(item) is { } events) stream.Receive(sequence, new KvEventBatch(now = Math.BitIncrement(now), events, rank));
                    else stream.ReceiveUnreadable(sequence);
                }
            }
            return document.RootElement.GetArrayLength();
        }
    }

    private KvEventStream StreamOf(int rank)
    {
        if (_streams.TryGetValue(rank, out var stream)) return stream;
        return _streams[rank] = new KvEventStream(batch => _apply(rank, batch), () => _forget(rank), canReplay: false);
    }
}
