using System.Text.Json;
using System.Text.Json.Serialization;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Kvasir.Gateway.Endpoints;

/// <summary>What the gateway answers itself: health, the models of all workers, the fleet, decisions, draining.</summary>
internal sealed class GatewayEndpoints(GatewayState state)
{
    private static readonly GatewayJson Json = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    });

    public static Task HealthAsync(HttpContext http) => http.Response.WriteAsJsonAsync(new StatusAnswer("ok"), Json.StatusAnswer);

    public Task ReadyAsync(HttpContext http)
    {
        var word = state.IsDraining ? "draining" : state.Fleet.Workers.Any(worker => worker.TakesRequests && worker.Health == WorkerHealth.Ready) ? "ready" : "no worker";
        http.Response.StatusCode = word == "ready" ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        return http.Response.WriteAsJsonAsync(new StatusAnswer(word), Json.StatusAnswer);
    }

    public Task ModelsAsync(HttpContext http)
    {
        var models = state.Fleet.Workers.Where(worker => worker.Health == WorkerHealth.Ready).SelectMany(worker => worker.Models).Distinct().Order();
        return http.Response.WriteAsJsonAsync(new ModelsAnswer("list", [.. models.Select(model => new ModelAnswer(model, "model", 0, "kvasir"))]), Json.ModelsAnswer);
    }

    public Task ModelAsync(HttpContext http)
    {
        var id = (string?)http.GetRouteValue("id") ?? "";
        return state.Fleet.Workers.Any(worker => worker.Models.Contains(id)) ? http.Response.WriteAsJsonAsync(new ModelAnswer(id, "model", 0, "kvasir"), Json.ModelAnswer)
            : Forwarding.Answers.WriteErrorAsync(http, StatusCodes.Status404NotFound, "invalid_request_error", "model_not_found", $"The model '{id}' is served by no worker.");
    }

    public Task WorkersAsync(HttpContext http) =>
        http.Response.WriteAsJsonAsync(state.Fleet.Workers.Select(Describe).ToArray(), Json.WorkerAnswerArray);

    public Task DecisionsAsync(HttpContext http)
    {
        var count = int.TryParse(http.Request.Query["limit"], out var limit) && limit > 0 ? limit : 20;
        return http.Response.WriteAsJsonAsync(state.Decisions.Latest(count).ToArray(), Json.DecisionReceiptArray);
    }

    public async Task DrainAsync(HttpContext http)
    {
        var name = (string?)http.GetRouteValue("name") ?? "";
        if (state.Fleet.Find(Uri.UnescapeDataString(name)) is not { } worker)
        {
            await Forwarding.Answers.WriteErrorAsync(http, StatusCodes.Status404NotFound, "invalid_request_error", "worker_not_found",
                $"No worker is named '{name}'; there are {string.Join(", ", state.Fleet.Workers.Select(known => known.Address.Name))}.");
            return;
        }
        worker.Draining = http.Request.Method == HttpMethods.Post;
        await http.Response.WriteAsJsonAsync(Describe(worker), Json.WorkerAnswer);
    }

    private WorkerAnswer Describe(Worker worker) => new(worker.Address.Name, worker.Address.Address.ToString(), worker.Adapter.Names[0],
        worker.Health, worker.Draining, Drain(worker), worker.Breaker.IsOpen, [.. worker.Models], worker.Load.InFlight, worker.Load.PendingTokens, worker.Load.Decoding,
        worker.Rate.IsMeasured ? Math.Round(worker.Rate.Value(), 1) : null, worker.Trust.State(state.Caches.Events.Knows(worker)), Math.Round(worker.Trust.Factor, 3),
        worker.Trust.Doubt, worker.Trust.Compared, Told(worker), worker.Reading.KvUsedRatio, worker.Reading.CapacityTokens, worker.Reading.Running, worker.Reading.Waiting);

    private static DrainAnswer? Drain(Worker worker) => WorkerDrain.Of(worker) is { } drain ? new DrainAnswer(drain.State, drain.OwnRequests, drain.EngineRequests) : null;

    private EventsAnswer? Told(Worker worker)
    {
        if (state.Caches.Events.Told(worker) is not var (counts, orphans, misfits)) return null;
        double? age = double.IsFinite(counts.NewestSeconds) ? Math.Round((state.Time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0) - counts.NewestSeconds, 3) : null;
        return new EventsAnswer(counts.Received, counts.Lost, counts.Gaps, counts.Unreadable, counts.Restarts, orphans, misfits, age);
    }
}

internal sealed record StatusAnswer(string Status);

internal sealed record ModelAnswer(string Id, string Object, long Created, string OwnedBy);

internal sealed record ModelsAnswer(string Object, ModelAnswer[] Data);

internal sealed record WorkerAnswer(string Name, string Address, string Engine, WorkerHealth Health, bool Draining, DrainAnswer? Drain, bool BreakerOpen, string[] Models,
    int InFlight, long PendingTokens, int Decoding, double? PrefillTokensPerSecond, TrustState Trust, double TrustFactor, TrustDoubt TrustDoubt, long Compared,
    EventsAnswer? Events, double? KvUsedRatio, double? CapacityTokens, double? Running, double? Waiting);

internal sealed record DrainAnswer(DrainState State, int GatewayRequests, double? EngineRequests);

internal sealed record EventsAnswer(long Received, long Lost, long Gaps, long Unreadable, long Restarts, long Orphans, long Misfits, double? NewestAgeSeconds);

[JsonSerializable(typeof(StatusAnswer))]
[JsonSerializable(typeof(ModelsAnswer))]
[JsonSerializable(typeof(WorkerAnswer[]))]
[JsonSerializable(typeof(DecisionReceipt[]))]
internal sealed partial class GatewayJson : JsonSerializerContext;
