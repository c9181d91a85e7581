using System.Collections.Immutable;
using System.Diagnostics;
using System.Text;

namespace Kvasir.Cli.Benchmarks.Fleet;

/// <summary>What proxying costs.</summary>
/// <param name="RequestsPerSecond">As asked.</param>
/// <param name="DirectSeconds">Latencies without the gateway, sorted.</param>
/// <param name="ProxiedSeconds">Latencies through it, sorted.</param>
/// <param name="ProcessorSeconds">Processor time of the gateway per request, which says the same on a busy machine.</param>
/// <param name="Failed">Requests that failed.</param>
public sealed record OverheadFigures(double RequestsPerSecond, ImmutableArray<double> DirectSeconds, ImmutableArray<double> ProxiedSeconds, double ProcessorSeconds, int Failed)
{
    /// <summary>Seconds that the gateway adds at a percentile.</summary>
    public double Added(double share) => At(ProxiedSeconds, share) - At(DirectSeconds, share);

    /// <summary>A percentile.</summary>
    public static double At(ImmutableArray<double> sorted, double share) => sorted.IsEmpty ? 0 : sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))];
}

/// <summary>Sends short requests at a fixed rate, whatever the answers do, to a mock worker and through a gateway to it.</summary>
internal static class GatewayOverhead
{
    private const int Rounds = 3, WarmUpRequests = 24_000, WarmUpClients = 4;
    private static readonly byte[] Body = Encoding.UTF8.GetBytes("""{"model":"mock","messages":[{"role":"user","content":"How much does a proxy cost?"}],"max_tokens":1}""");

    public static async Task<OverheadFigures> RunAsync(double rate, int requests, CancellationToken cancel)
    {
        await using var worker = await ChildServer.StartAsync(["mock-worker", "--port", "0", "--token-ms", "0", "--prefill-rate", "1e9"], cancel);
        await using var gateway = await ChildServer.StartAsync(["gateway", "--port", "0", "--worker", $"vllm={worker.Address.GetLeftPart(UriPartial.Authority)}"], cancel);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        List<double> direct = [], proxied = [];
        var failed = 0;
        // A server that runs for weeks is measured after its code was compiled for good, which takes some ten thousand
        // requests; then in turns, so that what else the machine does hits both alike.
        await WarmAsync(client, worker.Address, cancel);
        await WarmAsync(client, gateway.Address, cancel);
        await SendAsync(client, gateway.Address, rate, requests / Rounds, [], cancel);
        var before = gateway.ProcessorTime;
        for (var round = 0; round < Rounds; round++)
        {
            failed += await SendAsync(client, worker.Address, rate, requests / Rounds, direct, cancel);
            failed += await SendAsync(client, gateway.Address, rate, requests / Rounds, proxied, cancel);
        }
        var processor = (gateway.ProcessorTime - before).TotalSeconds / Math.Max(1, proxied.Count);
        return new OverheadFigures(rate, [.. direct.Order()], [.. proxied.Order()], processor, failed);
    }

    private static Task WarmAsync(HttpClient client, Uri server, CancellationToken cancel) => Task.WhenAll(Enumerable.Range(0, WarmUpClients).Select(async _ =>
    {
        for (var i = 0; i < WarmUpRequests / WarmUpClients; i++)
        {
            using var content = new ByteArrayContent(Body) { Headers = { ContentType = new("application/json") } };
            using var response = await client.PostAsync(new Uri(server, "/v1/chat/completions"), content, cancel);
            await response.Content.LoadIntoBufferAsync(cancel);
        }
    }));

    private static async Task<int> SendAsync(HttpClient client, Uri server, double rate, int count, List<double> latencies, CancellationToken cancel)
    {
        var target = new Uri(server, "/v1/chat/completions");
        var failed = 0;
        var running = new List<Task>(count);
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < count; i++)
        {
            var due = TimeSpan.FromSeconds(i / rate);
            var early = due - Stopwatch.GetElapsedTime(start);
            if (early > TimeSpan.FromMilliseconds(1)) await Task.Delay(early, cancel);
            running.Add(OneAsync());
        }
        await Task.WhenAll(running);
        return failed;

        async Task OneAsync()
        {
            var sent = Stopwatch.GetTimestamp();
            using var content = new ByteArrayContent(Body) { Headers = { ContentType = new("application/json") } };
            try
            {
                using var response = await client.PostAsync(target, content, cancel);
                await response.Content.LoadIntoBufferAsync(cancel);
                var seconds = Stopwatch.GetElapsedTime(sent).TotalSeconds;
                lock (latencies)
                {
                    latencies.Add(seconds);
                    if (!response.IsSuccessStatusCode) failed++;
                }
            }
            catch (HttpRequestException)
            {
                Interlocked.Increment(ref failed);
            }
        }
    }
}
