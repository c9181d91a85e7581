using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Transport;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Server.Endpoints;

/// <summary>Lets requests for tokens in and out, and writes what they fail with.</summary>
internal static class Admission
{
    /// <summary>Answers a request, or says why it is not answered. <paramref name="answer"/> returns a failure it has not written yet, or one it has sent in its stream.</summary>
    public static async Task RunAsync(ServerState state, HttpContext http, Func<HttpContext, KvasirEngine, long, Task<RequestFailure?>> answer)
    {
        var started = state.Time.GetTimestamp();
        if (!state.TryEnter(out var engine, out var failure))
        {
            state.Metrics.CountFailure(failure);
            await Answers.WriteAsync(http, failure);
            return;
        }
        try
        {
            failure = await answer(http, engine, started);
            if (failure is null) return;
            state.Metrics.CountFailure(failure);
            if (!http.Response.HasStarted) await Answers.WriteAsync(http, failure);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            state.Metrics.CountSuccess("abort");
            throw;
        }
        finally
        {
            state.Leave();
        }
    }
}
