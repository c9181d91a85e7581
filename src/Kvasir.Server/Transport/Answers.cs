using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Kvasir.Protocol.OpenAi;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Kvasir.Server.Transport;

/// <summary>Writes whole answers: JSON, and failures as OpenAI's error body.</summary>
public static class Answers
{
    /// <summary>Writes an answer.</summary>
    public static async Task WriteAsync<T>(HttpContext http, T answer, JsonTypeInfo<T> type)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(answer, type);
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = json.Length;
        await http.Response.Body.WriteAsync(json, http.RequestAborted);
    }

    /// <summary>Writes a failure with its status and, where waiting helps, <c>Retry-After</c>.</summary>
    public static Task WriteAsync(HttpContext http, RequestFailure failure)
    {
        http.Response.StatusCode = failure.Status;
        if (failure.Party == FailureParty.Load)
        {
            // A queue moves within a second; a model loads, or a server is replaced, within several.
            var seconds = failure.RetryAfterSeconds ?? (failure.Kind == FailureKind.QueueFull ? 1 : 5);
            http.Response.Headers[HeaderNames.RetryAfter] = seconds.ToString(CultureInfo.InvariantCulture);
        }
        if (failure.Kind == FailureKind.Unauthorized) http.Response.Headers[HeaderNames.WWWAuthenticate] = "Bearer";
        http.Features.Set(failure);
        return WriteAsync(http, failure.ToBody(), OpenAiJson.Wire.ErrorBody);
    }
}
