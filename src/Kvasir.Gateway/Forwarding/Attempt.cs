using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Routing;
using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.Forwarder;

namespace Kvasir.Gateway.Forwarding;

/// <summary>
/// One try of a request at one worker. The answer's first bytes are read before anything goes to the client (all of them
/// where it is no stream), so that a worker that fails until then costs the client nothing but time.
/// </summary>
/// <param name="decided">Which worker, and why.</param>
/// <param name="lease">Its share in the worker's load.</param>
/// <param name="id">The request's id.</param>
/// <param name="mayRetry">Whether another worker could try after this one.</param>
/// <param name="keepsClientKey">Whether the client's key goes on to the worker.</param>
/// <param name="span">What the worker's own span hangs from; null where nothing is traced.</param>
/// <param name="began">Called with the answer's first bytes: the prompt is computed.</param>
/// <param name="time">The clock.</param>
internal sealed class Attempt(Router.Decided decided, WorkerLoad.Lease lease, string id, bool mayRetry, bool keepsClientKey, Activity? span, Action<ReadOnlySpan<byte>> began, TimeProvider time) : HttpTransformer
{
    public const string WorkerHeader = "x-kvasir-worker", CachedHeader = "x-kvasir-cached-tokens", IdHeader = "x-request-id";

    /// <summary>Longest answer that is held back until it is whole.</summary>
    private const int LargestHeld = 1 << 20;
    private const int FirstBytes = 4096;
    private readonly long _sent = time.GetTimestamp();

    /// <summary>Sees the answer pass.</summary>
    public AnswerWatch Watch { get; } = new();

    /// <summary>Why the request may be sent to another worker, or null.</summary>
    public string? Failure { get; private set; }

    /// <summary>Whether the failure is the worker's fault, rather than a refusal.</summary>
    public bool WorkerFailed { get; private set; }

    public override async ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
        proxyRequest.Headers.Host = null;
        proxyRequest.Headers.Remove(IdHeader);
        proxyRequest.Headers.TryAddWithoutValidation(IdHeader, id);
        if (span is not null)
        {
            // The worker's span hangs from the one of this try, which is exported, not from one of the connection's, which is not.
            proxyRequest.Headers.Remove("traceparent");
            proxyRequest.Headers.Remove("tracestate");
            proxyRequest.Headers.TryAddWithoutValidation("traceparent", span.Id);
            if (span.TraceStateString is { Length: > 0 } state) proxyRequest.Headers.TryAddWithoutValidation("tracestate", state);
        }
        if (decided.Worker.Address.ApiKey is { } key) proxyRequest.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        // A key of the gateway's is nothing a worker should see.
        else if (!keepsClientKey) proxyRequest.Headers.Authorization = null;
    }

    public override async ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is null) return await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        if (mayRetry && IsRetryable(proxyResponse.StatusCode))
        {
            Failure = $"answered {(int)proxyResponse.StatusCode}";
            WorkerFailed = proxyResponse.StatusCode != HttpStatusCode.TooManyRequests;
            return false;
        }
        if (proxyResponse.IsSuccessStatusCode && !await ReadAheadAsync(proxyResponse, cancellationToken)) return false;
        var go = await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        var headers = httpContext.Response.Headers;
        headers[WorkerHeader] = decided.Worker.Address.Name;
        headers[IdHeader] = id;
        headers[CachedHeader] = (Watch.Usage().Cached ?? (int)decided.PredictedTokens).ToString(System.Globalization.CultureInfo.InvariantCulture);
        return go;
    }

    private static bool IsRetryable(HttpStatusCode status) => status is HttpStatusCode.InternalServerError or HttpStatusCode.BadGateway
        or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout or HttpStatusCode.TooManyRequests;

    private async Task<bool> ReadAheadAsync(HttpResponseMessage response, CancellationToken cancel)
    {
        var isStream = response.Content.Headers.ContentType?.MediaType == "text/event-stream";
        // A whole answer of known length needs no more room, and no second read to see that it ended.
        var whole = !isStream && response.Content.Headers.ContentLength is { } length and <= LargestHeld ? (int)length : -1;
        var ahead = new byte[whole > 0 ? whole : FirstBytes];
        var used = 0;
        Stream rest;
        try
        {
            rest = await response.Content.ReadAsStreamAsync(cancel);
            for (int count; (count = await rest.ReadAsync(ahead.AsMemory(used), cancel)) > 0;)
            {
                if (used == 0) Begin(isStream, ahead.AsSpan(0, count));
                used += count;
                if (isStream || used == whole || used >= LargestHeld) break;
                if (used == ahead.Length) Array.Resize(ref ahead, used * 2);
            }
        }
        catch (Exception error) when (mayRetry && !cancel.IsCancellationRequested && error is IOException or HttpRequestException or OperationCanceledException)
        {
            Failure = $"broke off before its answer: {error.Message}";
            WorkerFailed = true;
            return false;
        }
        if (used == 0 && isStream && mayRetry)
        {
            (Failure, WorkerFailed) = ("ended its stream before it began", true);
            return false;
        }
        var passes = isStream || used >= LargestHeld;
        if (!passes) Watch.PassWhole(ahead.AsSpan(0, used));
        var held = response.Content;
        response.Content = new StreamContent(new WatchedStream(ahead.AsMemory(0, used), rest, passes ? Watch : null));
        foreach (var header in held.Headers.NonValidated)
        {
            if (header.Value.Count == 1) response.Content.Headers.TryAddWithoutValidation(header.Key, header.Value.ToString());
            else response.Content.Headers.TryAddWithoutValidation(header.Key, header.Value);
        }
        return true;
    }

    private void Begin(bool isStream, ReadOnlySpan<byte> beginning)
    {
        var seconds = time.GetElapsedTime(_sent).TotalSeconds;
        decided.Receipt.FirstTokenSeconds = seconds;
        began(beginning);
        // The first bytes of a whole answer come with its last: they tell nothing about prefill.
        var now = time.GetTimestamp() / (double)time.TimestampFrequency;
        if (lease.FirstToken(now) && isStream) decided.Worker.Rate.Observe(lease.TokensAhead, seconds, now);
    }
}
