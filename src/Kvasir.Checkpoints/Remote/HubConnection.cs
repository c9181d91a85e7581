using System.Net;
using System.Net.Http.Headers;

namespace Kvasir.Checkpoints.Remote;

/// <summary>Asks a hub for files. Redirections are followed here, for what the hub says of a file stands in its own answer and not in that of the store behind it.</summary>
internal sealed class HubConnection : IDisposable
{
    private const int MostRedirections = 10;
    private readonly HttpClient _http;

    public HubConnection(HubOptions options)
    {
        Options = options;
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = TimeSpan.FromSeconds(20), UseCookies = false }) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("kvasir", "1.0"));
    }

    public HubOptions Options { get; }

    /// <summary>An answer whose body is still to be read.</summary>
    /// <param name="Response">The last answer after redirections.</param>
    /// <param name="Tag">The file's ETag as the hub gives it, without quotes.</param>
    /// <param name="Length">The file's length, where anybody says it.</param>
    /// <param name="Commit">The commit that the file is of, where the hub says it.</param>
    internal sealed record Answer(HttpResponseMessage Response, string? Tag, long? Length, string? Commit) : IDisposable
    {
        public void Dispose() => Response.Dispose();
    }

    /// <summary>Asks for a file from an offset on; null where there is none.</summary>
    /// <exception cref="CheckpointException">The hub refuses for good.</exception>
    /// <exception cref="TransferException">Another attempt may go better.</exception>
    public async Task<Answer?> GetAsync(Uri address, long from, CancellationToken cancel)
    {
        using var stall = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        stall.CancelAfter(Options.StallTime);
        try
        {
            return await FollowAsync(address, from, stall.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw new TransferException($"{address} cannot be reached: {error.Message}", null, error);
        }
        catch (OperationCanceledException error) when (!cancel.IsCancellationRequested)
        {
            throw new TransferException($"{address} did not answer within {Options.StallTime.TotalSeconds:0} s", null, error);
        }
    }

    private async Task<Answer?> FollowAsync(Uri address, long from, CancellationToken cancel)
    {
        string? tag = null, commit = null;
        long? linkedLength = null;
        var target = address;
        for (var i = 0; i < MostRedirections; i++)
        {
            var response = await SendAsync(target, from, cancel).ConfigureAwait(false);
            commit ??= Header(response, "X-Repo-Commit");
            tag ??= (Header(response, "X-Linked-ETag") ?? (IsOfHub(target) && response.IsSuccessStatusCode ? Header(response, "ETag") : null))?.Replace("W/", "", StringComparison.Ordinal).Trim('"');
            linkedLength ??= long.TryParse(Header(response, "X-Linked-Size"), out var size) && size >= 0 ? size : null;
            if (response.StatusCode is HttpStatusCode.Moved or HttpStatusCode.Found or HttpStatusCode.SeeOther or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect && response.Headers.Location is { } location)
            {
                response.Dispose();
                var next = new Uri(target, location);
                if (next.Scheme is not ("http" or "https") || (target.Scheme == "https" && next.Scheme != "https"))
                    throw new CheckpointException($"{address} redirects to {next}, which is not followed: not encrypted, or no web address.");
                target = next;
                continue;
            }
            using var unused = new Disposal(response);
            if (response.StatusCode == HttpStatusCode.NotFound) return null;
            if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable) return new Answer(unused.Keep(), tag, linkedLength, commit);
            if (!response.IsSuccessStatusCode) throw Refusal(address, response);
            var length = response.StatusCode == HttpStatusCode.PartialContent ? response.Content.Headers.ContentRange?.Length : response.Content.Headers.ContentLength;
            return new Answer(unused.Keep(), tag, length ?? linkedLength, commit);
        }
        throw new CheckpointException($"{address} redirects more than {MostRedirections} times.");
    }

    private async Task<HttpResponseMessage> SendAsync(Uri target, long from, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, target);
        // The token is the hub's; the stores that it redirects to have addresses that carry their own.
        if (Options.Token is { } token && IsOfHub(target)) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        if (from > 0) request.Headers.Range = new RangeHeaderValue(from, null);
        request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
        return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel).ConfigureAwait(false);
    }

    private bool IsOfHub(Uri target) => Uri.Compare(target, Options.Endpoint, UriComponents.SchemeAndServer, UriFormat.Unescaped, StringComparison.OrdinalIgnoreCase) == 0;

    private static string? Header(HttpResponseMessage response, string name) => response.Headers.TryGetValues(name, out var values) ? values.FirstOrDefault() : null;

    private Exception Refusal(Uri address, HttpResponseMessage response)
    {
        var status = (int)response.StatusCode;
        var reason = Header(response, "X-Error-Message") is { Length: > 0 and < 300 } said ? $" (\"{said}\")" : "";
        if (status is 401 or 403)
            return new CheckpointException($"{address} is refused ({status}){reason}: {(Options.Token is null ? "it is private, gated or does not exist. Check the name; accept the model's terms on its page and set HF_TOKEN" : "HF_TOKEN does not open it. Check the name, accept the model's terms on its page, and check that the token is valid")}.");
        if (status is 408 or 429 or >= 500)
            return new TransferException(status == 429 ? $"{address} refuses for now because of too many requests (429)" : $"{address} answers with an error ({status} {response.StatusCode}){reason}", Wait(response));
        return new CheckpointException($"{address} answers with an error ({status} {response.StatusCode}){reason}. Check the name of the model and HF_ENDPOINT.");
    }

    private TimeSpan? Wait(HttpResponseMessage response) =>
        response.Headers.RetryAfter is not { } asked ? null
        : asked.Delta ?? (asked.Date is { } date ? date - Options.Time.GetUtcNow() : null);

    /// <summary>Disposes a response unless it is kept.</summary>
    private sealed class Disposal(HttpResponseMessage response) : IDisposable
    {
        private HttpResponseMessage? _response = response;

        public HttpResponseMessage Keep()
        {
            var kept = _response!;
            _response = null;
            return kept;
        }

        public void Dispose() => _response?.Dispose();
    }

    public void Dispose() => _http.Dispose();
}
