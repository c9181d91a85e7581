using System.Diagnostics;
using System.Net;
using System.Text;

namespace Kvasir.Cli.Benchmarks.Fleet;

/// <summary>What became of many streams at once.</summary>
/// <param name="Streams">Streams that were opened.</param>
/// <param name="Together">Most that were open at the same time.</param>
/// <param name="Whole">Streams that ended with their last token.</param>
/// <param name="IdleBytes">The gateway's resident memory before.</param>
/// <param name="PeakBytes">Its largest resident memory.</param>
/// <param name="AfterBytes">Its resident memory a moment after.</param>
/// <param name="Seconds">How long it took.</param>
public sealed record StreamFigures(int Streams, int Together, int Whole, long IdleBytes, long PeakBytes, long AfterBytes, double Seconds);

/// <summary>Opens streams through a gateway to mock workers that speak slowly, until all are open at once.</summary>
internal static class GatewayStreams
{
    private const int Tokens = 30, Workers = 4, OpenedPerSecond = 500;

    public static async Task<StreamFigures> RunAsync(int streams, CancellationToken cancel)
    {
        // The last stream opens before the first one ends.
        var tokenMilliseconds = (int)Math.Ceiling(1000.0 * ((streams / OpenedPerSecond) + 15) / Tokens);
        var workers = new List<ChildServer>();
        try
        {
            for (var i = 0; i < Workers; i++)
                workers.Add(await ChildServer.StartAsync(["mock-worker", "--port", "0", "--token-ms", $"{tokenMilliseconds}", "--prefill-rate", "1e9"], cancel));
            await using var gateway = await ChildServer.StartAsync(["gateway", "--port", "0", "--http2-port", "0",
                .. workers.SelectMany(worker => new[] { "--worker", $"vllm={worker.Address.GetLeftPart(UriPartial.Authority)}" })], cancel);
            return await MeasureAsync(gateway, streams, cancel);
        }
        finally
        {
            foreach (var worker in workers) await worker.DisposeAsync();
        }
    }

    private static async Task<StreamFigures> MeasureAsync(ChildServer gateway, int streams, CancellationToken cancel)
    {
        // Many streams share a connection, so that this process does not run out of file descriptors.
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, EnableMultipleHttp2Connections = true })
        {
            DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact, Timeout = TimeSpan.FromMinutes(5),
        };
        using var plain = new HttpClient();
        var target = new Uri(new Uri((await plain.GetStringAsync(new Uri(gateway.Address, "/gateway/http2"), cancel)).Trim('"')), "/v1/chat/completions");
        var (open, together, whole, idle, peak) = (0, 0, 0, gateway.ResidentBytes, 0L);
        var start = Stopwatch.GetTimestamp();
        var running = new List<Task>(streams);
        for (var i = 0; i < streams; i++)
        {
            if (i % 50 == 0) peak = Math.Max(peak, gateway.ResidentBytes);
            var early = TimeSpan.FromSeconds((double)i / OpenedPerSecond) - Stopwatch.GetElapsedTime(start);
            if (early > TimeSpan.FromMilliseconds(1)) await Task.Delay(early, cancel);
            running.Add(OneAsync(i));
        }
        var all = Task.WhenAll(running);
        while (await Task.WhenAny(all, Task.Delay(500, cancel)) != all) peak = Math.Max(peak, gateway.ResidentBytes);
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        await Task.Delay(TimeSpan.FromSeconds(3), cancel);
        return new StreamFigures(streams, together, whole, idle, peak, gateway.ResidentBytes, seconds);

        async Task OneAsync(int number)
        {
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, target) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
                request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes($$"""{"model":"mock","messages":[{"role":"user","content":"Stream {{number}}"}],"max_tokens":{{Tokens}},"stream":true}"""));
                request.Content.Headers.ContentType = new("application/json");
                using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
                var now = Interlocked.Increment(ref open);
                for (var most = together; now > most; most = together)
                    if (Interlocked.CompareExchange(ref together, now, most) == most) break;
                var text = await response.Content.ReadAsStringAsync(cancel);
                Interlocked.Decrement(ref open);
                if (response.IsSuccessStatusCode && text.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal)) Interlocked.Increment(ref whole);
            }
            catch (Exception error) when (error is HttpRequestException or IOException)
            {
                // It counts as lost: it is not among the whole ones.
            }
        }
    }
}
