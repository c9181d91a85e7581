using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Kvasir.Protocol.OpenAi;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Kvasir.Server.Streaming;

/// <summary>Server-sent events as OpenAI's clients read them: one JSON object per event, then <c>[DONE]</c>.</summary>
public sealed class EventStream
{
    private readonly HttpContext http;

    private EventStream(HttpContext http) => this.http = http;

    /// <summary>The stream that answers the request; null while there is none.</summary>
    public static EventStream? Of(HttpContext http) => http.Features.Get<EventStream>();

    /// <summary>Sends the headers, if they are not sent yet.</summary>
    public static async Task<EventStream> OpenAsync(HttpContext http)
    {
        if (Of(http) is { } open) return open;
        var response = http.Response;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        // Proxies that buffer answers (nginx) would turn a stream into a wait.
        response.Headers["X-Accel-Buffering"] = "no";
        http.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        await response.StartAsync(http.RequestAborted);
        // A client whose request waits in the queue knows at once that it was taken.
        await response.BodyWriter.FlushAsync(http.RequestAborted);
        var events = new EventStream(http);
        http.Features.Set(events);
        return events;
    }

    /// <summary>Sends one object.</summary>
    public async ValueTask SendAsync<T>(T value, JsonTypeInfo<T> type)
    {
        Write("data: "u8);
        using (var writer = new Utf8JsonWriter(http.Response.BodyWriter, new JsonWriterOptions { Encoder = type.Options.Encoder, SkipValidation = true }))
            JsonSerializer.Serialize(writer, value, type);
        Write("\n\n"u8);
        await http.Response.BodyWriter.FlushAsync(http.RequestAborted);
    }

    /// <summary>Sends a comment, which clients ignore and proxies count as life.</summary>
    public async ValueTask KeepAliveAsync()
    {
        Write(": waiting\n\n"u8);
        await http.Response.BodyWriter.FlushAsync(http.RequestAborted);
    }

    /// <summary>Says that the answer broke off.</summary>
    public async ValueTask FailAsync(RequestFailure failure)
    {
        http.Features.Set(failure);
        await SendAsync(failure.ToBody(), OpenAiJson.Wire.ErrorBody);
    }

    /// <summary>Says that the answer is complete.</summary>
    public async ValueTask CompleteAsync()
    {
        Write("data: [DONE]\n\n"u8);
        await http.Response.BodyWriter.FlushAsync(http.RequestAborted);
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        var writer = http.Response.BodyWriter;
        bytes.CopyTo(writer.GetSpan(bytes.Length));
        writer.Advance(bytes.Length);
    }
}
