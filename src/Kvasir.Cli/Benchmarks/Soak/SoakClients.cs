using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace Kvasir.Cli.Benchmarks.Soak;

/// <summary>What the clients of a soak have met so far.</summary>
internal sealed record SoakCounts(int Answered, int Left, int Hostile, int Refused, int Wrong);

/// <summary>
/// Clients of many kinds: conversations that grow and return, prompts that share a long start, tenants with salts of their
/// own, several answers to one prompt, clients that leave in mid-stream, bodies that are no requests. Each draws what it
/// does from its number.
/// </summary>
/// <param name="http">The server.</param>
/// <param name="contextTokens">Most tokens of one sequence there.</param>
internal sealed class SoakClients(HttpClient http, int contextTokens)
{
    private const string Path = "v1/completions";
    private const int MostTurns = 6, TextPerToken = 3;

    private readonly List<string> _failures = [];
    private int _answered, _left, _hostile, _refused, _wrong;

    /// <summary>What they met so far.</summary>
    public SoakCounts Counts => new(_answered, _left, _hostile, _refused, _wrong);

    /// <summary>Answers that should not have been, at most ten.</summary>
    public IReadOnlyList<string> Failures
    {
        get
        {
            lock (_failures) return [.. _failures];
        }
    }

    /// <summary>One client until it is told to end.</summary>
    public async Task RunAsync(int client, CancellationToken end)
    {
        var random = new Random(client);
        while (!end.IsCancellationRequested)
        {
            try
            {
                var turn = (client % 8) switch
                {
                    4 => ShareAsync(random, end),
                    5 => LeaveAsync(random, end),
                    6 => AttackAsync(random, end),
                    7 => SeveralAsync(random, end),
                    _ => ConverseAsync(client, random, end),
                };
                await turn;
                await Task.Delay(random.Next(50), end);
            }
            catch (OperationCanceledException) when (end.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException)
            {
                Fail($"client {client}: {error.Message}");
            }
        }
    }

    /// <summary>The text of a request that is always the same, or null where it was refused for load.</summary>
    public async Task<string?> ProbeAsync(int number, CancellationToken cancel)
    {
        var body = Body($"Probe {number}. " + Words(new Random(number), 60 * (1 + number)), 32);
        body["seed"] = number;
        var answer = await AskAsync(body, cancel);
        return (string?)answer?["choices"]![0]!["text"];
    }

    private async Task ConverseAsync(int client, Random random, CancellationToken end)
    {
        var text = new StringBuilder();
        for (var turn = 0; turn < MostTurns && text.Length < (contextTokens - 128) / 2; turn++)
        {
            text.Append(Words(random, random.Next(10, 200)));
            var body = Body(text.ToString(), random.Next(1, 64));
            if (client % 3 > 0) body["cache_salt"] = $"tenant {client % 3}";
            if (await AskAsync(body, end) is not { } answer) return;
            text.Append((string?)answer["choices"]![0]!["text"]);
        }
    }

    private async Task ShareAsync(Random random, CancellationToken end) =>
        await AskAsync(Body(Words(new Random(random.Next(3)), contextTokens / 4) + Words(random, 40), random.Next(1, 32)), end);

    private async Task SeveralAsync(Random random, CancellationToken end)
    {
        var body = Body(Words(random, random.Next(10, 300)), random.Next(1, 32));
        (body["n"], body["temperature"], body["logprobs"]) = (random.Next(1, 4), 1.2, 2);
        await AskAsync(body, end);
    }

    private async Task LeaveAsync(Random random, CancellationToken end)
    {
        var body = Body(Words(random, random.Next(10, 300)), contextTokens / 4);
        (body["stream"], body["ignore_eos"]) = (true, true);
        using var response = await PostAsync(Encoding.UTF8.GetBytes(body.ToJsonString()), end);
        if (!Admits(response)) return;
        var stream = await response.Content.ReadAsStreamAsync(end);
        await stream.ReadAtLeastAsync(new byte[3000], random.Next(1, 3000), throwOnEndOfStream: false, end);
        Interlocked.Increment(ref _left);
    }

    private async Task AttackAsync(Random random, CancellationToken end)
    {
        var bytes = Encoding.UTF8.GetBytes(Body(Words(random, 50), 8).ToJsonString());
        for (var i = random.Next(1, 8); i > 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        using var response = await PostAsync(random.Next(16) == 0 ? new byte[random.Next(1 << 20)] : bytes, end);
        await response.Content.ReadAsStringAsync(end);
        Interlocked.Increment(ref _hostile);
        if ((int)response.StatusCode is not (200 or 400 or 404 or 413 or 429)) Fail($"HTTP {(int)response.StatusCode} for a body that is no request");
    }

    private async Task<JsonNode?> AskAsync(JsonObject body, CancellationToken cancel)
    {
        using var response = await PostAsync(Encoding.UTF8.GetBytes(body.ToJsonString()), cancel);
        if (!Admits(response)) return null;
        var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(cancel));
        Interlocked.Increment(ref _answered);
        return answer;
    }

    private bool Admits(HttpResponseMessage response)
    {
        // Too many at once, or longer than the context: the server's to say.
        if (response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.BadRequest) Interlocked.Increment(ref _refused);
        else if (!response.IsSuccessStatusCode) Fail($"HTTP {(int)response.StatusCode} for a sound request");
        return response.IsSuccessStatusCode;
    }

    private async Task<HttpResponseMessage> PostAsync(byte[] body, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Path) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new("application/json");
        return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
    }

    private static JsonObject Body(string prompt, int tokens) => new() { ["prompt"] = prompt, ["max_tokens"] = tokens, ["temperature"] = 0.7, ["seed"] = 1 };

    private static string Words(Random random, int tokens)
    {
        var text = new StringBuilder();
        while (text.Length < tokens * TextPerToken / 2)
        {
            for (var letters = random.Next(1, 8); letters > 0; letters--) text.Append((char)('a' + random.Next(26)));
            text.Append(' ');
        }
        return text.ToString();
    }

    private void Fail(string what)
    {
        Interlocked.Increment(ref _wrong);
        lock (_failures)
            if (_failures.Count < 10) _failures.Add(what);
    }
}
