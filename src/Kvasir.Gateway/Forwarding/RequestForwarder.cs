using System.Globalization;
using System.IO.Hashing;
using System.Text;
using Kvasir.Gateway.Admission;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Requests;
using Kvasir.Gateway.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace Kvasir.Gateway.Forwarding;

/// <summary>Takes a request through the gateway: reads it, decides, forwards, tries again elsewhere before the first token.</summary>
internal sealed class RequestForwarder(GatewayState state, IHttpForwarder forwarder, HttpMessageInvoker client)
{
    private const string SessionHeader = "x-session-id";
    private readonly ResponseHomes _homes = new();
    private readonly ForwarderRequestConfig _config = new() { ActivityTimeout = state.Options.IdleTimeout, AllowResponseBuffering = false };

    public async Task HandleAsync(HttpContext http)
    {
        var id = RequestId(http);
        http.Response.Headers[Attempt.IdHeader] = id;
        var allowance = GatewayGate.AllowanceOf(http);
        var body = await ReadBodyAsync(http);
        if (body is null) return;
        var envelope = RequestEnvelope.Read(body);
        var thought = state.Prompts.Estimate(envelope) + envelope.MaxTokens.GetValueOrDefault();
        if (allowance.TryTake(thought) is { } refused)
        {
            await RefuseAtTheDoorAsync(http, allowance.Tenant, $"{refused.Limit}_limit", $"{allowance.Tenant.Name} has used its {refused.Limit} per minute", refused.RetryAfter);
            return;
        }
        using var inside = state.Enter();
        var queue = state.Doors.Queue;
        if (!await queue.EnterAsync(allowance.Tenant, thought, http.RequestAborted))
        {
            allowance.Settle(thought, 0);
            await RefuseAtTheDoorAsync(http, allowance.Tenant, "overloaded", $"{queue.MostWaiting} requests wait already", TimeSpan.FromSeconds(1));
            return;
        }
        try
        {
            var prompt = await state.Prompts.ReadAsync(envelope, body, http.RequestAborted);
            var asked = new Asked(http, id, body, envelope, prompt);
            await ForwardAsync(asked);
            if (asked.ActualTokens is { } actual)
            {
                allowance.Settle(thought, actual);
                queue.Settle(allowance.Tenant, thought, actual);
            }
        }
        finally
        {
            queue.Leave();
        }
    }

    private async Task ForwardAsync(Asked asked)
    {
        var (http, model) = (asked.Http, asked.Envelope.Model);
        var tried = new List<Worker>();
        var session = SessionKey(http, asked.Envelope);
        var home = _homes.Of(http.Request, asked.Envelope.PreviousResponse);
        string? lastFailure = null;
        for (var attempt = 1; attempt <= state.Options.MaxAttempts; attempt++)
        {
            if (state.Router.Decide(asked.Id, model, asked.Prompt, session, tried, home) is not { } decided) break;
            var mayRetry = attempt < state.Options.MaxAttempts && state.Fleet.Workers.Any(worker => worker != decided.Worker && worker.TakesRequests && worker.Serves(model) && !tried.Contains(worker));
            lastFailure = await TryAsync(asked, decided, mayRetry);
            if (lastFailure is null) return;
            state.Metrics.CountRetry(decided.Worker.Address.Name);
            tried.Add(decided.Worker);
            http.Response.Clear();
            http.Response.Headers[Attempt.IdHeader] = asked.Id;
        }
        await RefuseAsync(http, model, tried, lastFailure);
    }

    /// <summary>Null when the request is settled (answered, or its client left); else why another worker should try.</summary>
    private async Task<string?> TryAsync(Asked asked, Router.Decided decided, bool mayRetry)
    {
        var (http, worker, prompt) = (asked.Http, decided.Worker, asked.Prompt);
        using var lease = worker.Load.Begin((int)prompt.Count, (int)decided.UncachedTokens, state.Seconds, worker.Rate.Value(state.Fleet.MeanRate()));
        worker.Breaker.Enter();
        state.Caches.Note(worker, prompt);
        var span = GatewayTracing.Begin(decided, state.Options.Collector);
        var attempt = new Attempt(decided, lease, asked.Id, mayRetry, keepsClientKey: !state.Doors.WantsKeys, span, beginning =>
        {
            state.Caches.Confirm(worker, prompt);
            if (ResponseHomes.IsCreation(http.Request)) _homes.Remember(beginning, worker);
        }, state.Time);
        http.Request.Body = new MemoryStream(asked.Body, writable: false);
        if (http.Request.ContentLength is null && asked.Body.Length > 0) http.Request.ContentLength = asked.Body.Length;
        var error = await forwarder.SendAsync(http, worker.Address.Address.ToString(), client, _config, attempt, http.RequestAborted);
        Settle(attempt, decided, asked, error);
        GatewayTracing.End(span, decided.Receipt, error != ForwarderError.None || attempt.Failure is not null);
        if (http.RequestAborted.IsCancellationRequested || http.Response.HasStarted && attempt.Failure is null) return null;
        if (attempt.Failure is { } failure) return failure;
        return error == ForwarderError.None ? null : Explain(http, error);
    }

    private void Settle(Attempt attempt, Router.Decided decided, Asked asked, ForwarderError error)
    {
        var (receipt, worker, http) = (decided.Receipt, decided.Worker, asked.Http);
        if (http.RequestAborted.IsCancellationRequested && attempt.Failure is null)
        {
            worker.Breaker.Forget();
            receipt.Outcome = "client left";
        }
        else if (error != ForwarderError.None || attempt.WorkerFailed)
        {
            worker.Breaker.Fail();
            if (receipt.FirstTokenSeconds is null) state.Caches.Withdraw(worker, asked.Prompt);
            receipt.Outcome = attempt.Failure ?? error.ToString();
            state.Metrics.CountFailure(worker.Address.Name);
        }
        else
        {
            worker.Breaker.Succeed();
            receipt.Outcome = attempt.Failure ?? http.Response.StatusCode.ToString(CultureInfo.InvariantCulture);
        }
        var (promptTokens, cached, completion) = attempt.Watch.Usage();
        (receipt.ActualPromptTokens, receipt.ActualCachedTokens) = (promptTokens, cached);
        if (promptTokens is { } count)
        {
            state.Prompts.Learn(asked.Prompt, count);
            asked.ActualTokens = count + completion.GetValueOrDefault();
        }
        if (cached is { } actual) worker.Trust.Observe(decided.PredictedTokens, actual, decided.FromEvents);
        state.Metrics.CountAnswer(worker.Address.Name, receipt, completion);
    }

    private Task RefuseAtTheDoorAsync(HttpContext http, Tenant tenant, string code, string why, TimeSpan retryAfter)
    {
        state.Metrics.CountRefusal(tenant.Name, code);
        return Answers.WriteErrorAsync(http, StatusCodes.Status429TooManyRequests, "rate_limit_error", code,
            string.Create(CultureInfo.InvariantCulture, $"{why}; try again in {Math.Ceiling(Math.Max(1, retryAfter.TotalSeconds)):0} s."), retryAfter);
    }

    private static string Explain(HttpContext http, ForwarderError error) =>
        http.Features.Get<IForwarderErrorFeature>()?.Exception is { } exception ? $"{error}: {(exception.InnerException ?? exception).Message}" : error.ToString();

    private async Task RefuseAsync(HttpContext http, string? model, List<Worker> tried, string? lastFailure)
    {
        var known = state.Fleet.Workers;
        if (tried.Count > 0)
            await Answers.WriteErrorAsync(http, StatusCodes.Status502BadGateway, "upstream_error", "workers_failed",
                $"No worker answered; tried {string.Join(", ", tried.Select(worker => worker.Address.Name))}. The last one {lastFailure}.");
        else if (model is not null && known.Length > 0 && known.All(worker => !worker.Serves(model)))
            await Answers.WriteErrorAsync(http, StatusCodes.Status404NotFound, "invalid_request_error", "model_not_found",
                $"The model '{model}' is served by no worker; there are {string.Join(", ", known.SelectMany(worker => worker.Models).Distinct().Order())}.");
        else
            await Answers.WriteErrorAsync(http, StatusCodes.Status503ServiceUnavailable, "server_error", "no_worker",
                "No worker takes requests now; try again in a moment.", TimeSpan.FromSeconds(2));
    }

    private async Task<byte[]?> ReadBodyAsync(HttpContext http)
    {
        var limit = state.Options.MaxBodyBytes;
        if (http.Request.ContentLength > limit)
        {
            await TooLargeAsync(http, limit);
            return null;
        }
        if (http.Request.ContentLength is { } length)
        {
            var exact = new byte[length];
            await http.Request.Body.ReadExactlyAsync(exact, http.RequestAborted);
            return exact;
        }
        using var buffer = new MemoryStream();
        var chunk = new byte[16 << 10];
        for (int count; (count = await http.Request.Body.ReadAsync(chunk, http.RequestAborted)) > 0;)
        {
            if (buffer.Length + count > limit)
            {
                await TooLargeAsync(http, limit);
                return null;
            }
            buffer.Write(chunk, 0, count);
        }
        return buffer.ToArray();
    }

    private static Task TooLargeAsync(HttpContext http, long limit) => Answers.WriteErrorAsync(http, StatusCodes.Status413PayloadTooLarge,
        "invalid_request_error", "body_too_large", $"The request's body is larger than {limit} bytes.");

    private static string RequestId(HttpContext http) =>
        http.Request.Headers[Attempt.IdHeader].ToString() is { Length: > 0 and <= 128 } given && given.All(c => c is > ' ' and < '\x7f') ? given : $"req-{Guid.CreateVersion7():N}";

    private static ulong SessionKey(HttpContext http, RequestEnvelope envelope)
    {
        var session = http.Request.Headers[SessionHeader].ToString() is { Length: > 0 } header ? header : envelope.User;
        return string.IsNullOrEmpty(session) ? 0 : XxHash64.HashToUInt64(Encoding.UTF8.GetBytes(session)) | 1;
    }

    /// <summary>A request on its way.</summary>
    private sealed record Asked(HttpContext Http, string Id, byte[] Body, RequestEnvelope Envelope, PromptTokens Prompt)
    {
        /// <summary>Prompt and answer tokens by the worker's word, once known.</summary>
        public double? ActualTokens { get; set; }
    }
}
