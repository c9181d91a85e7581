using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Streaming;
using Kvasir.Server.Transport;
using Kvasir.Server.Turns;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Server.Endpoints;

/// <summary>Lets requests for tokens in and out, and writes what they fail with.</summary>
internal static class Admission
{
    /// <summary>Answers a request, or says why it is not answered. <paramref name="answer"/> returns a failure, which is sent in its stream where there is one.</summary>
    public static async Task RunAsync(ServerState state, HttpContext http, Func<HttpContext, long, Task<RequestFailure?>> answer)
    {
        var started = state.Time.GetTimestamp();
        if (!state.TryEnter(out var failure))
        {
            state.Metrics.CountFailure(null, failure);
            await Answers.WriteAsync(http, failure);
            return;
        }
        try
        {
            failure = await answer(http, started);
            if (failure is null) return;
            state.Metrics.CountFailure(http.Features.Get<ServedModel>(), failure);
            if (EventStream.Of(http) is { } events) await events.FailAsync(failure);
            else await Answers.WriteAsync(http, failure);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            state.Metrics.CountSuccess(http.Features.Get<ServedModel>(), "abort");
            throw;
        }
        finally
        {
            state.Leave();
        }
    }

    /// <summary>The model that the request is for; its figures are told under it from now on.</summary>
    public static bool TryFind(ServerState state, HttpContext http, string? name, out ServedModel model, out RequestFailure? failure)
    {
        var isFound = state.TryFind(name, out var found, out failure);
        if (isFound) http.Features.Set(found);
        model = found!;
        return isFound;
    }

    /// <summary>Waits until the model is awake for the request, which then must leave it. A stream that waits long begins, with signs of life.</summary>
    /// <param name="state">The server.</param>
    /// <param name="http">The request.</param>
    /// <param name="model">Its model.</param>
    /// <param name="asked">What it asks of it.</param>
    /// <param name="isStream">Whether it is answered in a stream.</param>
    /// <param name="undo">Takes back what was done for the request; called if it is not let in.</param>
    /// <returns>Why it is not let in; null when it is.</returns>
    public static async Task<RequestFailure?> AwaitTurnAsync(ServerState state, HttpContext http, ServedModel model, IReadOnlyList<TextRequest> asked, bool isStream, Action undo)
    {
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        // What is refused anyway shall not wake a model for it.
        var entering = state.Turns!.Alternate && model.Engine.Pipeline.Refusal(asked) is { } refusal
            ? Task.FromResult<RequestFailure?>(refusal)
            : state.Turns.EnterAsync(model, asked.Count, leaving.Token);
        try
        {
            while (isStream && !await Waiting.CompletesWithinAsync(entering, state.Options.KeepAliveInterval, state.Time))
                await (await EventStream.OpenAsync(http)).KeepAliveAsync();
            var failure = await entering;
            if (failure is not null) undo();
            return failure;
        }
        catch
        {
            // The client is gone: it gives its place up, or leaves if it was let in by now.
            await leaving.CancelAsync();
            await entering.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            if (entering is { IsCompletedSuccessfully: true, Result: null }) state.Turns.Leave(model);
            undo();
            throw;
        }
    }
}
