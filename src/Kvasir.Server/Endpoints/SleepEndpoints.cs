using System.Globalization;
using Kvasir.Engine;
using Kvasir.Protocol.Memory;
using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Transport;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Server.Endpoints;

/// <summary><c>POST /sleep?level=1</c>: gives memory back to the system; <c>POST /wake_up</c>; <c>GET /is_sleeping</c>. The routes are vLLM's.</summary>
internal sealed class SleepEndpoints(ServerState state)
{
    private const int DefaultWaitSeconds = 30, MostWaitSeconds = 3600;

    public Task SleepAsync(HttpContext http) => RunAsync(http, async engine =>
    {
        var (level, wait) = (Number("level", 1, 1, 2), Number("wait_seconds", DefaultWaitSeconds, 0, MostWaitSeconds));
        if (level is null) return new RequestFailure(FailureKind.InvalidValue, "Invalid 'level': 1 gives the KV cache back, 2 the weights too.", "level");
        if (wait is null) return new RequestFailure(FailureKind.InvalidValue, $"Invalid 'wait_seconds': it must be between 0 and {MostWaitSeconds}.", "wait_seconds");
        try
        {
            await engine.SleepAsync((SleepLevel)level, TimeSpan.FromSeconds(wait.Value));
            return null;
        }
        catch (TimeoutException error)
        {
            return new RequestFailure(FailureKind.Busy, error.Message);
        }

        int? Number(string name, int absent, int least, int most) => !http.Request.Query.TryGetValue(name, out var text) ? absent
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most ? number : null;
    });

    public Task WakeAsync(HttpContext http) => RunAsync(http, async engine =>
    {
        try
        {
            await engine.WakeAsync();
            return null;
        }
        catch (MemoryBudgetException error)
        {
            return new RequestFailure(FailureKind.Asleep, error.Message);
        }
    });

    public Task TellAsync(HttpContext http) => RunAsync(http, _ => Task.FromResult<RequestFailure?>(null));

    private async Task RunAsync(HttpContext http, Func<LlmEngine, Task<RequestFailure?>> act)
    {
        RequestFailure? failure;
        if (state.Engine is not { Engine: var engine })
        {
            await Answers.WriteAsync(http, new RequestFailure(FailureKind.Loading, "The model is still loading; try again in a moment."));
            return;
        }
        try
        {
            failure = await act(engine);
        }
        catch (RequestException error)
        {
            failure = ChatPipeline.ToFailure(error);
        }
        if (failure is not null) await Answers.WriteAsync(http, failure);
        else await Answers.WriteAsync(http, new SleepState(engine.Sleeps != SleepLevel.Awake, (int)engine.Sleeps), MemoryJson.Wire.SleepState);
    }
}
