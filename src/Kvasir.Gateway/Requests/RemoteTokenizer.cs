using System.Text.Json;
using Kvasir.Gateway.Fleet;

namespace Kvasir.Gateway.Requests;

/// <summary>
/// Asks a worker for a prompt's tokens: it has the model's tokenizer and chat template, so that the tokens are those it
/// will cache. An answer that does not come soon is done without.
/// </summary>
public sealed class RemoteTokenizer(HttpClient http)
{
    private const int LargestAnswer = 16 << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>The tokens, or null where the worker cannot or does not say them.</summary>
    /// <param name="worker">Who is asked.</param>
    /// <param name="envelope">What was read of the request.</param>
    /// <param name="body">The request.</param>
    /// <param name="cancel">The client left.</param>
    public async Task<int[]?> TokenizeAsync(Worker worker, RequestEnvelope envelope, ReadOnlyMemory<byte> body, CancellationToken cancel)
    {
        if (worker.Adapter.TokenizePath is not { } path || envelope.IsChat && !worker.Adapter.TokenizesMessages) return null;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(Patience);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(worker.Address.Address, path)) { Content = new ByteArrayContent(Write(worker, envelope, body.Span)) };
            request.Content.Headers.ContentType = new("application/json");
            if (worker.Address.ApiKey is { } key) request.Headers.Authorization = new("Bearer", key);
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            if (!response.IsSuccessStatusCode || response.Content.Headers.ContentLength > LargestAnswer) return null;
            await response.Content.LoadIntoBufferAsync(LargestAnswer, limit.Token);
            return Read(await response.Content.ReadAsByteArrayAsync(limit.Token));
        }
        catch (Exception error) when (error is HttpRequestException or IOException or JsonException || error is OperationCanceledException && !cancel.IsCancellationRequested)
        {
            return null;
        }
    }

    private static byte[] Write(Worker worker, RequestEnvelope envelope, ReadOnlySpan<byte> body)
    {
        var buffer = new MemoryStream(body.Length + 64);
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true }))
        {
            writer.WriteStartObject();
            if (envelope.Model is { } model) writer.WriteString("model", model);
            writer.WritePropertyName(envelope.IsChat ? "messages" : worker.Adapter.TokenizedField);
            writer.WriteRawValue(body[envelope.PromptRange], skipInputValidation: true);
            if (envelope.IsChat && !envelope.Tools.Equals(default))
            {
                writer.WritePropertyName("tools");
                writer.WriteRawValue(body[envelope.Tools], skipInputValidation: true);
            }
            foreach (var (name, value) in envelope.Templating)
            {
                writer.WritePropertyName(name);
                writer.WriteRawValue(body[value], skipInputValidation: true);
            }
            writer.WriteEndObject();
        }
        return buffer.ToArray();
    }

    private static int[]? Read(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName || !reader.ValueTextEquals("tokens"u8)) continue;
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartArray) return null;
            var tokens = new List<int>(1024);
            while (reader.Read() && reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var token)) tokens.Add(token);
            return [.. tokens];
        }
        return null;
    }
}
