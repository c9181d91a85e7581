using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using Kvasir.Adapters;
using Kvasir.Adapters.Metrics;

namespace Kvasir.Gateway.Fleet;

/// <summary>Asks workers how they are: readiness, models, metrics. One loop for all; a worker that hangs holds up only itself.</summary>
internal sealed class WorkerProbe(WorkerFleet fleet, HttpClient http, TimeProvider time, Action<Worker> restarted)
{
    private const int LargestAnswer = 4 << 20;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(3);
    private const int FailuresBeforeDown = 2;
    private readonly Dictionary<Worker, int> _failures = [];
    private readonly Dictionary<Worker, Task> _running = [];

    public async Task RunAsync(TimeSpan interval, CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(interval, time);
        do
        {
            foreach (var gone in _running.Keys.Where(worker => worker.Removed).ToArray()) _running.Remove(gone);
            foreach (var worker in fleet.Workers)
                if (!_running.TryGetValue(worker, out var running) || running.IsCompleted) _running[worker] = ProbeAsync(worker, cancel);
        }
        while (await timer.WaitForNextTickAsync(cancel));
    }

    /// <summary>Asks one worker everything.</summary>
    public async Task ProbeAsync(Worker worker, CancellationToken cancel)
    {
        try
        {
            if (worker.Address.Engine is null && worker.Health is WorkerHealth.Unknown or WorkerHealth.Down) await DetectAsync(worker, cancel);
            var health = await ReadyAsync(worker, cancel);
            // An engine that is asked to stop says that it is not ready, and goes on telling what still runs there.
            if (health == WorkerHealth.Ready || health == WorkerHealth.NotReady && worker.Draining) await DescribeAsync(worker, cancel);
            Observe(worker, health);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // The gateway stops.
        }
    }

    private void Observe(Worker worker, WorkerHealth health)
    {
        lock (_failures)
        {
            var failures = health == WorkerHealth.Down ? _failures.GetValueOrDefault(worker) + 1 : 0;
            _failures[worker] = failures;
            // One lost probe of a worker that served a moment ago is no news.
            if (failures is > 0 and < FailuresBeforeDown && worker.Health == WorkerHealth.Ready) return;
        }
        if (worker.Observe(health)) restarted(worker);
    }

    private async Task<WorkerHealth> ReadyAsync(Worker worker, CancellationToken cancel)
    {
        var status = await StatusAsync(worker, worker.Adapter.ReadyPath, cancel);
        return status switch
        {
            null => WorkerHealth.Down,
            // An older server of the same kind has no such path but lives.
            HttpStatusCode.NotFound => WorkerHealth.Ready,
            >= HttpStatusCode.OK and < HttpStatusCode.MultipleChoices => WorkerHealth.Ready,
            HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => WorkerHealth.Ready,
            _ => WorkerHealth.NotReady,
        };
    }

    private async Task DescribeAsync(Worker worker, CancellationToken cancel)
    {
        if (worker.Address.Model is null && await TextAsync(worker, new Uri(worker.Address.Address, "/v1/models"), cancel) is { } models)
            worker.Models = ReadModels(models);
        var askedAt = time.GetTimestamp();
        if ((worker.Address.Metrics ?? worker.Adapter.MetricsAddress(worker.Address.Address)) is not { } metrics || await TextAsync(worker, metrics, cancel) is not { } text) return;
        var ours = worker.Load.InFlight;
        var samples = PrometheusSamples.Parse(text);
        var (before, reading) = (worker.Reading, worker.Adapter.Read(samples) with { StartedSeconds = samples.Sum("process_start_time_seconds") });
        worker.Take(reading, askedAt);
        // A restart between two probes that missed no answer: the cache is empty though the worker was never away.
        if (reading.IsOfAnotherProcess(before)) restarted(worker);
        var inside = worker.Reading.Running.GetValueOrDefault() + worker.Reading.Waiting.GetValueOrDefault();
        worker.OthersWaiting = (int)Math.Max(0, Math.Min(worker.Reading.Waiting.GetValueOrDefault(), inside - ours));
    }

    /// <summary>Finds out which engine an address runs: each has a metric or a path that no other has.</summary>
    private async Task DetectAsync(Worker worker, CancellationToken cancel)
    {
        var metrics = await TextAsync(worker, new Uri(worker.Address.Address, "/metrics"), cancel) ?? "";
        EngineKind? kind =
            metrics.Contains("vllm:", StringComparison.Ordinal) ? EngineKind.Vllm
            : metrics.Contains("sglang:", StringComparison.Ordinal) ? EngineKind.SgLang
            : metrics.Contains("llamacpp:", StringComparison.Ordinal) ? EngineKind.LlamaCpp
            : metrics.Contains("kvasir_", StringComparison.Ordinal) ? EngineKind.Kvasir
            : metrics.StartsWith('[') ? EngineKind.TensorRtLlm
            : null;
        if (kind is null && await TextAsync(worker, new Uri(worker.Address.Address, "/v1/models"), cancel) is { } models)
            kind = models.Contains("\"llamacpp\"", StringComparison.Ordinal) ? EngineKind.LlamaCpp
                : models.Contains("\"owned_by\":\"sglang\"", StringComparison.Ordinal) ? EngineKind.SgLang
                : EngineKind.OpenAi;
        if (kind is { } found) worker.Adapter = EngineAdapter.Of(found);
    }

    private async Task<HttpStatusCode?> StatusAsync(Worker worker, string path, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(Timeout);
        try
        {
            using var request = Request(worker, new Uri(worker.Address.Address, path));
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            return response.StatusCode;
        }
        catch (Exception error) when (error is HttpRequestException || error is OperationCanceledException && !cancel.IsCancellationRequested)
        {
            return null;
        }
    }

    private async Task<string?> TextAsync(Worker worker, Uri address, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(Timeout);
        try
        {
            using var request = Request(worker, address);
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            if (!response.IsSuccessStatusCode || response.Content.Headers.ContentLength > LargestAnswer) return null;
            await response.Content.LoadIntoBufferAsync(LargestAnswer, limit.Token);
            return await response.Content.ReadAsStringAsync(limit.Token);
        }
        catch (Exception error) when (error is HttpRequestException or IOException || error is OperationCanceledException && !cancel.IsCancellationRequested)
        {
            return null;
        }
    }

    private static HttpRequestMessage Request(Worker worker, Uri address)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, address);
        if (worker.Address.ApiKey is { } key) request.Headers.Authorization = new("Bearer", key);
        return request;
    }

    private static ImmutableArray<string> ReadModels(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("data", out var data) || data.ValueKind != JsonValueKind.Array ? []
                : [.. data.EnumerateArray().Where(card => card.ValueKind == JsonValueKind.Object && card.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.String)
                    .Select(card => card.GetProperty("id").GetString()!)];
        }
        catch (JsonException)
        {
            return [];
        }
    }
}
