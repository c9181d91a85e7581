using System.Collections.Immutable;
using System.Globalization;
using Kvasir.Engine;
using Kvasir.Protocol.Memory;
using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Transport;
using Kvasir.Server.Turns;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Server.Endpoints;

/// <summary><c>POST /sleep?level=1</c>: gives memory back to the system; <c>POST /wake_up</c>; <c>GET /is_sleeping</c>. The routes are vLLM's; <c>?model=NAME</c> says which of several models.</summary>
internal sealed class SleepEndpoints(ServerState state)
{
    private const int DefaultWaitSeconds = 30, MostWaitSeconds = 3600;

    public Task SleepAsync(HttpContext http) => RunAsync(http, async models =>
    {
        var (level, wait) = (Number("level", 1, 1, 2), Number("wait_seconds", DefaultWaitSeconds, 0, MostWaitSeconds));
        if (level is null) return new RequestFailure(FailureKind.InvalidValue, "Invalid 'level': 1 gives the KV cache back, 2 the weights too.", "level");
        if (wait is null) return new RequestFailure(FailureKind.InvalidValue, $"Invalid 'wait_seconds': it must be between 0 and {MostWaitSeconds}.", "wait_seconds");
        try
        {
            await Task.WhenAll(models.Select(model => state.Turns!.SleepAsync(model, (SleepLevel)level, TimeSpan.FromSeconds(wait.Value))));
            return null;
        }
        catch (TimeoutException error)
        {
            return new RequestFailure(FailureKind.Busy, error.Message);
        }

        int? Number(string name, int absent, int least, int most) => !http.Request.Query.TryGetValue(name, out var text) ? absent
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most ? number : null;
    });

    public Task WakeAsync(HttpContext http) => RunAsync(http, async models =>
    {
        var turns = state.Turns!;
        // All may be asked again, though not all may be awake.
        turns.Release(models);
        foreach (var model in models.Take(turns.Awake))
            if (await turns.WakeAsync(model, http.RequestAborted) is { } failure) return failure;
        return null;
    });

    public Task TellAsync(HttpContext http) => RunAsync(http, _ => Task.FromResult<RequestFailure?>(null));

    private async Task RunAsync(HttpContext http, Func<ImmutableArray<ServedModel>, Task<RequestFailure?>> act)
    {
        var name = (string?)http.Request.Query["model"];
        if (!state.TryFind(name, out var model, out var failure))
        {
            await Answers.WriteAsync(http, failure);
            return;
        }
        ImmutableArray<ServedModel> models = name is null ? state.Models : [model];
        try
        {
            failure = await act(models);
        }
        catch (RequestException error)
        {
            failure = ChatPipeline.ToFailure(error);
        }
        if (failure is not null) await Answers.WriteAsync(http, failure);
        else await Answers.WriteAsync(http, Tell(models), MemoryJson.Wire.SleepState);
    }

    private SleepState Tell(ImmutableArray<ServedModel> models)
    {
        ModelSleepState[] states = [.. models.Select(model => (model, Level: model.Engine.Engine.Sleeps))
            .Select(now => new ModelSleepState(now.model.Name, now.Level != SleepLevel.Awake, (int)now.Level, !state.Turns!.IsHeld(now.model)))];
        return new SleepState(states.All(now => now.IsSleeping), states.Min(now => now.Level)) { Models = states.Length > 1 ? states : null };
    }
}
