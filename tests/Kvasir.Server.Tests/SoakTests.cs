using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Kvasir.Server.Tests.Fixtures;

namespace Kvasir.Server.Tests;

/// <summary>
/// <c>kvasir serve --memory</c> under 64 clients that stream, leave and send hostile bodies. KVASIR_SOAK_SECONDS makes it
/// last; five minutes is what a release is tried with.
/// </summary>
public sealed partial class SoakTests(Models models, ITestOutputHelper output)
{
    private const string Path = "/v1/completions";
    private const long MemoryBytes = 512L << 20;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(
        int.TryParse(Environment.GetEnvironmentVariable("KVASIR_SOAK_SECONDS"), CultureInfo.InvariantCulture, out var seconds) ? seconds : 6);

    private int _whole, _left, _hostile, _refused;

    [Fact]
    public async Task Sixty_four_clients_leave_no_trace()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Memory is read from /proc, and SIGTERM is sent by kill.");
        await using var server = await ServeProcess.StartAsync(models.RandomPath, "--memory", "512MiB", "--threads", "2", "--context", "1024", "--max-seqs", "8", "--max-queue", "40");
        using var http = new HttpClient(new SocketsHttpHandler { MaxResponseDrainSize = 0, ResponseDrainTimeout = TimeSpan.Zero })
        { BaseAddress = server.Address, Timeout = TimeSpan.FromMinutes(2) };
        var expected = await Task.WhenAll(Enumerable.Range(0, 4).Select(seed => TextAsync(http, Body(seed, stream: false))));
        var ledger = await LedgerAsync(http);
        var clock = Stopwatch.StartNew();
        var highest = 0L;
        var clients = Task.WhenAll(Enumerable.Range(0, 64).Select(client => Task.Run(() => RunAsync(http, client, expected, clock))));
        while (!clients.IsCompleted)
        {
            highest = Math.Max(highest, server.Resident.Now);
            await Task.WhenAny(clients, Task.Delay(250));
        }
        await clients;
        for (var tries = 0; tries < 500 && await BusyAsync(http); tries++) await Task.Delay(10);
        output.WriteLine($"{_whole} answers read, {_left} left, {_hostile} hostile bodies, {_refused} refused for load in {clock.Elapsed.TotalSeconds:F0} s; "
            + $"resident at most {server.Resident.Highest >> 20} MiB of {MemoryBytes >> 20}.");
        Assert.False(await BusyAsync(http));
        Assert.Equal(ledger, await LedgerAsync(http));
        Assert.InRange(server.Resident.Highest, 1, MemoryBytes);
        Assert.True(_whole > 10 && _left > 10 && _hostile > 10);
        Assert.Equal(expected[0], await TextAsync(http, Body(0, stream: false)));
        Assert.Equal(0, await server.TerminateAsync());
    }

    private static string Body(int seed, bool stream) =>
        $$"""{"prompt":"{{new string('x', 1 + seed * 150)}}","max_tokens":48,"ignore_eos":true,"seed":{{seed}},"stream":{{(stream ? "true" : "false")}}}""";

    private async Task RunAsync(HttpClient http, int client, string[] expected, Stopwatch clock)
    {
        var random = new Random(client);
        while (clock.Elapsed < Duration)
        {
            var seed = random.Next(expected.Length);
            switch (client % 4)
            {
                case 0:
                    using (var response = await PostAsync(http, Encoding.UTF8.GetBytes(Body(seed, stream: true).Replace("48", "600", StringComparison.Ordinal))))
                        if (Admits(response))
                        {
                            await response.Content.ReadAsStream().ReadAtLeastAsync(new byte[3000], random.Next(1, 3000), throwOnEndOfStream: false);
                            Interlocked.Increment(ref _left);
                        }
                    break;
                case 1:
                    await AttackAsync(http, random);
                    break;
                default:
                    if (await TextAsync(http, Body(seed, stream: client % 4 == 2)) is not { } text) break;
                    Assert.Equal(expected[seed], text);
                    Interlocked.Increment(ref _whole);
                    break;
            }
            await Task.Delay(10);
        }
    }

    private async Task AttackAsync(HttpClient http, Random random)
    {
        var body = Encoding.UTF8.GetBytes(Body(random.Next(4), stream: random.Next(2) == 0));
        for (var i = random.Next(1, 8); i > 0; i--) body[random.Next(body.Length)] = (byte)random.Next(256);
        if (random.Next(16) == 0) body = new byte[random.Next(5 << 20)];
        using var response = await PostAsync(http, body);
        await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode is 200 or 400 or 404 or 413 or 429, $"{(int)response.StatusCode} for {Convert.ToBase64String(body[..Math.Min(200, body.Length)])}");
        Interlocked.Increment(ref _hostile);
    }

    /// <summary>The answer's text, or null where the queue was full.</summary>
    private async Task<string> TextAsync(HttpClient http, string body)
    {
        using var response = await PostAsync(http, Encoding.UTF8.GetBytes(body));
        if (!Admits(response)) return null!;
        var text = await response.Content.ReadAsStringAsync();
        if (response.Content.Headers.ContentType?.MediaType is "application/json") return (string)JsonNode.Parse(text)!["choices"]![0]!["text"]!;
        Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
        return string.Concat(text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries)[..^1].Where(line => line.StartsWith("data: ", StringComparison.Ordinal))
            .Select(line => (string?)JsonNode.Parse(line["data: ".Length..])!["choices"]![0]!["text"]));
    }

    private bool Admits(HttpResponseMessage response)
    {
        if ((int)response.StatusCode == 429) Interlocked.Increment(ref _refused);
        else Assert.Equal(200, (int)response.StatusCode);
        return response.IsSuccessStatusCode;
    }

    private static async Task<HttpResponseMessage> PostAsync(HttpClient http, byte[] body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Path) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new("application/json");
        return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    private static async Task<string> LedgerAsync(HttpClient http) =>
        string.Join('\n', LedgerPattern().Matches(await http.GetStringAsync("/metrics")).Select(line => line.Value));

    private static async Task<bool> BusyAsync(HttpClient http) => BusyPattern().IsMatch(await http.GetStringAsync("/metrics"));

    [GeneratedRegex("^kvasir_ledger_bytes.*$", RegexOptions.Multiline)]
    private static partial Regex LedgerPattern();

    [GeneratedRegex("^kvasir_(num_requests_running|num_requests_waiting|kv_cache_blocks_used|http_requests_inside)\\{[^}]*\\} [1-9]", RegexOptions.Multiline)]
    private static partial Regex BusyPattern();
}
