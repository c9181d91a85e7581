using Kvasir.Protocol.OpenAi;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Kvasir.Server.Transport;

/// <summary>
/// What every request passes: it gets an id, shows its key, and whatever goes wrong ends as OpenAI's error body.
/// </summary>
public sealed partial class Guard(ApiKeys keys, ILogger<Guard> log)
{
    /// <summary>Header that carries a request's id, both ways.</summary>
    public const string IdHeader = "x-request-id";
    private const string HolderItem = "kvasir-key-holder";

    private static readonly string[] OpenPaths = ["/health", "/ready", "/"];

    /// <summary>The middleware.</summary>
    public async Task InvokeAsync(HttpContext http, RequestDelegate next)
    {
        http.Response.Headers[IdHeader] = Id(http);
        if (!OpenPaths.Contains(http.Request.Path.Value) && !HttpMethods.IsOptions(http.Request.Method)
            && !keys.Accept(http.Request.Headers.Authorization))
        {
            await Answers.WriteAsync(http, Refused(http));
            return;
        }
        http.Items[HolderItem] = keys.HolderOf(http.Request.Headers.Authorization);
        try
        {
            await next(http);
            if (!http.Response.HasStarted && http.Response.ContentLength is null) await DescribeStatusAsync(http);
        }
        catch (Exception error) when (IsDeparture(http, error))
        {
            // The client left: there is nobody to answer, and its work was cancelled on the way here.
        }
        catch (BadHttpRequestException error) when (!http.Response.HasStarted)
        {
            await Answers.WriteAsync(http, error.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? new RequestFailure(FailureKind.BodyTooLarge, "The body is larger than this server reads.")
                : new RequestFailure(FailureKind.BadRequest, error.Message));
        }
        catch (Exception error)
        {
            LogFault(log, error, http.Request.Path, Id(http));
            if (http.Response.HasStarted) http.Abort();
            else await Answers.WriteAsync(http, new RequestFailure(FailureKind.Internal, "The server failed to answer; its log says why."));
        }
    }

    private static bool IsDeparture(HttpContext http, Exception error) =>
        error is OperationCanceledException or IOException && http.RequestAborted.IsCancellationRequested
        || error is Microsoft.AspNetCore.Connections.ConnectionResetException;

    private static RequestFailure Refused(HttpContext http) => new(FailureKind.Unauthorized, http.Request.Headers.Authorization.Count == 0
        ? "No API key was given; send it as 'Authorization: Bearer KEY'."
        : "The API key is not one that this server accepts.");

    private static async Task DescribeStatusAsync(HttpContext http)
    {
        var (method, path) = (http.Request.Method, http.Request.Path.Value);
        RequestFailure? failure = http.Response.StatusCode switch
        {
            StatusCodes.Status404NotFound => new(FailureKind.RouteNotFound, $"Unknown request URL: {method} {path}. Available: {Routes.Listing}."),
            StatusCodes.Status405MethodNotAllowed => new(FailureKind.MethodNotAllowed, $"{method} is not allowed for {path}; use {http.Response.Headers.Allow}."),
            StatusCodes.Status415UnsupportedMediaType => new(FailureKind.UnsupportedMediaType, "Content-Type must be application/json."),
            _ => null,
        };
        if (failure is not null) await Answers.WriteAsync(http, failure);
    }

    /// <summary>Whose API key the request carries, by a name that does not tell it; null where keys are not asked for.</summary>
    public static string? Holder(HttpContext http) => (string?)http.Items[HolderItem];

    /// <summary>The request's id: its own when that is short and printable, for it goes into logs and back into a header.</summary>
    public static string Id(HttpContext http)
    {
        if (http.Items.TryGetValue(IdHeader, out var known)) return (string)known!;
        var given = http.Request.Headers[IdHeader].ToString();
        var id = given.Length is > 0 and <= 128 && given.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or ':')
            ? given
            : $"req_{Guid.NewGuid():N}";
        http.Items[IdHeader] = id;
        return id;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Path} failed (request {RequestId}).")]
    private static partial void LogFault(ILogger log, Exception error, PathString path, string requestId);
}
