using System.Net;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Kvasir.Cli.Load;

/// <summary>One request that was sent, as its client saw it. Times are seconds from the load's start.</summary>
internal sealed record RequestOutcome
{
    /// <summary>When it was sent.</summary>
    public required double SentSeconds { get; init; }
    /// <summary>When its answer was complete, or broke off.</summary>
    public required double EndSeconds { get; init; }
    /// <summary>HTTP status; 0 where there was none.</summary>
    public int Status { get; init; }
    /// <summary>What went wrong; null for nothing.</summary>
    public string? Error { get; init; }
    /// <summary>When the first text came; null for no text.</summary>
    public double? FirstSeconds { get; init; }
    /// <summary>When the last text came.</summary>
    public double LastSeconds { get; init; }
    /// <summary>Times between two parts of the answer, in seconds.</summary>
    public IReadOnlyList<double> Gaps { get; init; } = [];
    /// <summary>The answer.</summary>
    public string Text { get; init; } = "";
    /// <summary>Prompt tokens, as the server counts them.</summary>
    public int PromptTokens { get; init; }
    /// <summary>Tokens of the answer, as the server counts them; parts where it does not.</summary>
    public int OutputTokens { get; init; }
    /// <summary>Prompt tokens found in the server's cache; null where it does not tell.</summary>
    public int? CachedTokens { get; init; }
    /// <summary>What was asked, for counting what could have been found.</summary>
    public Transcript? Asked { get; init; }

    /// <summary>Time to the first token, in seconds.</summary>
    public double? FirstTokenSeconds => FirstSeconds - SentSeconds;
    /// <summary>Mean time per further token, in seconds.</summary>
    public double? PerTokenSeconds => FirstSeconds is { } first && OutputTokens > 1 ? (LastSeconds - first) / (OutputTokens - 1) : null;
}

/// <summary>Sends a request and takes the times of its stream.</summary>
internal static class StreamedRequest
{
    private const int MostAttempts = 3;

    /// <summary>Sends; what goes wrong is in the outcome.</summary>
    /// <param name="server">Whom to ask.</param>
    /// <param name="transcript">What to ask.</param>
    /// <param name="outputTokens">Length of the answer.</param>
    /// <param name="time">Clock.</param>
    /// <param name="start">Time stamp of the load's start.</param>
    /// <param name="cancel">Stops the whole load.</param>
    public static async Task<RequestOutcome> SendAsync(ServerUnderTest server, Transcript transcript, int outputTokens, TimeProvider time, long start, CancellationToken cancel)
    {
        var stream = new AnswerStream(time, start);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(server.Form.Timeout);
        try
        {
            using var response = await PostAsync(server, server.Body(transcript, outputTokens), limit.Token);
            stream.Status = (int)response.StatusCode;
            if (response.StatusCode == HttpStatusCode.OK) await stream.ReadAsync(await response.Content.ReadAsStreamAsync(limit.Token), limit.Token);
            else stream.Error = $"HTTP {stream.Status}: {Refusal(await response.Content.ReadAsStringAsync(limit.Token))}";
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            stream.Error = $"no complete answer within {server.Form.Timeout.TotalSeconds:0} s";
        }
        catch (Exception error) when (error is HttpRequestException or IOException or JsonException)
        {
            stream.Error = error.InnerException is { } inner ? $"{error.Message} {inner.Message}" : error.Message;
        }
        return stream.Outcome(transcript);
    }

    private static async Task<HttpResponseMessage> PostAsync(ServerUnderTest server, JsonObject body, CancellationToken cancel)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await AttemptAsync();
            }
            catch (HttpRequestException error) when (attempt < MostAttempts && (error.HttpRequestError is HttpRequestError.ResponseEnded || error.InnerException is IOException))
            {
                // The server closed an idle connection just as it was taken again: no fault of the request.
            }
        }

        async Task<HttpResponseMessage> AttemptAsync()
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, server.Form.IsChat ? "v1/chat/completions" : "v1/completions") { Content = JsonContent.Create(body) };
            // A known length: some servers take no chunked body.
            await request.Content.LoadIntoBufferAsync(cancel);
            return await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
        }
    }

    private static string Refusal(string body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            if (json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("error", out var error)) return AnswerStream.Message(error);
        }
        catch (JsonException)
        {
            // Not every proxy answers in JSON; its words will do.
        }
        return body.Length <= 200 ? body : body[..200] + "…";
    }

    /// <summary>Reads the parts of one answer.</summary>
    private sealed class AnswerStream(TimeProvider time, long start)
    {
        private readonly double sent = time.GetElapsedTime(start).TotalSeconds;
        private readonly StringBuilder text = new();
        private readonly List<double> gaps = [];
        private double? first;
        private double last;
        private int parts, prompt;
        private int? output, cached;

        public int Status { get; set; }

        public string? Error { get; set; }

        public async Task ReadAsync(Stream body, CancellationToken cancel)
        {
            var isDone = false;
            await foreach (var part in SseParser.Create(body).EnumerateAsync(cancel))
            {
                if (part.Data is "[DONE]")
                {
                    isDone = true;
                    break;
                }
                if (part.Data.Length > 0) Take(part.Data, time.GetElapsedTime(start).TotalSeconds);
            }
            if (!isDone) Error ??= "the stream broke off before [DONE]";
        }

        public RequestOutcome Outcome(Transcript asked) => new()
        {
            SentSeconds = sent, EndSeconds = time.GetElapsedTime(start).TotalSeconds, Status = Status, Error = Error, FirstSeconds = first, LastSeconds = last, Gaps = gaps,
            Text = text.ToString(), PromptTokens = prompt, OutputTokens = output ?? parts, CachedTokens = cached, Asked = asked,
        };

        public static string Message(JsonElement error) =>
            error.ValueKind == JsonValueKind.Object && error.TryGetProperty("message", out var message) ? message.ToString() : error.ToString();

        private void Take(string data, double now)
        {
            using var json = JsonDocument.Parse(data);
            var root = json.RootElement;
            if (root.TryGetProperty("error", out var error)) Error ??= Message(error);
            if (root.TryGetProperty("choices", out var choices) && choices.ValueKind == JsonValueKind.Array && choices.GetArrayLength() > 0) TakeText(choices[0], now);
            if (root.TryGetProperty("timings", out var timings) && Integer(timings, "cache_n") is { } reused) cached ??= reused;
            if (!root.TryGetProperty("usage", out var usage) || usage.ValueKind != JsonValueKind.Object) return;
            prompt = Integer(usage, "prompt_tokens") ?? prompt;
            output = Integer(usage, "completion_tokens") ?? output;
            if (usage.TryGetProperty("prompt_tokens_details", out var details) && Integer(details, "cached_tokens") is { } found) cached = found;
        }

        private void TakeText(JsonElement choice, double now)
        {
            var added = Text(choice, "text");
            if (choice.TryGetProperty("delta", out var delta)) added = Text(delta, "content") + Text(delta, "reasoning_content");
            if (added.Length == 0) return;
            text.Append(added);
            parts++;
            if (first is null) first = now;
            else gaps.Add(now - last);
            last = now;
        }

        private static string Text(JsonElement element, string name) =>
            element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

        private static int? Integer(JsonElement element, string name) =>
            element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) ? number : null;
    }
}
