using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Gateway.Forwarding;

/// <summary>The gateway's own answers, in the form that OpenAI's clients expect of errors.</summary>
internal static class Answers
{
    public static async Task WriteErrorAsync(HttpContext http, int status, string type, string code, string message, TimeSpan? retryAfter = null)
    {
        if (http.Response.HasStarted) return;
        http.Response.Clear();
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        if (retryAfter is { } wait) http.Response.Headers.RetryAfter = ((int)Math.Ceiling(Math.Max(1, wait.TotalSeconds))).ToString(System.Globalization.CultureInfo.InvariantCulture);
        await using var writer = new Utf8JsonWriter(http.Response.BodyWriter);
        writer.WriteStartObject();
        writer.WriteStartObject("error");
        writer.WriteString("message", message);
        writer.WriteString("type", type);
        writer.WriteString("code", code);
        writer.WriteNull("param");
        writer.WriteEndObject();
        writer.WriteEndObject();
        await writer.FlushAsync(http.RequestAborted);
    }
}
