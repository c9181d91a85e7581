using System.Diagnostics.Metrics;
using Kvasir.Gateway.Admission;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Index;
using Kvasir.Gateway.Routing;

namespace Kvasir.Gateway;

/// <summary>What <c>/metrics</c> of the gateway tells.</summary>
public sealed class GatewayMetrics : IDisposable
{
    /// <summary>Name of the first gateway's meter; further ones in a process add a number.</summary>
    public const string MeterName = "Kvasir.Gateway";

    private static int gateways;
    private readonly Meter _meter;
    private readonly Counter<long> _requests, _retries, _failures, _promptTokens, _cachedTokens, _predictedTokens, _completionTokens, _refused;
    private readonly Counter<double> _shadowSeconds;
    private readonly Histogram<double> _firstToken;

    internal GatewayMetrics(WorkerFleet fleet, CacheView caches, Doorkeeper doors, Func<int> inside)
    {
        var number = Interlocked.Increment(ref gateways);
        _meter = new Meter(number == 1 ? MeterName : $"{MeterName}.{number}");
        _requests = _meter.CreateCounter<long>("kvasir_gateway_requests", null, "Requests forwarded, by worker and outcome.");
        _retries = _meter.CreateCounter<long>("kvasir_gateway_retries", null, "Requests sent on to another worker, by the worker that failed.");
        _failures = _meter.CreateCounter<long>("kvasir_gateway_worker_failures", null, "Failures of workers.");
        _promptTokens = _meter.CreateCounter<long>("kvasir_gateway_prompt_tokens", null, "Prompt tokens, by the workers' word.");
        _cachedTokens = _meter.CreateCounter<long>("kvasir_gateway_cached_tokens", null, "Prompt tokens that workers had, by their word.");
        _predictedTokens = _meter.CreateCounter<long>("kvasir_gateway_predicted_cached_tokens", null, "Prompt tokens that workers were believed to have.");
        _refused = _meter.CreateCounter<long>("kvasir_gateway_requests_refused", null, "Requests refused at the door, by tenant and reason.");
        _shadowSeconds = _meter.CreateCounter<double>("kvasir_gateway_policy_estimated_seconds", null, "Estimated time to first token where each policy would have sent the requests, the acting one included.");
        _completionTokens = _meter.CreateCounter<long>("kvasir_gateway_completion_tokens", null, "Tokens generated, by the workers' word.");
        _firstToken = _meter.CreateHistogram<double>("kvasir_gateway_time_to_first_byte_seconds", null, "From sending a request to a worker to the first bytes of its answer.");
        _meter.CreateObservableGauge("kvasir_gateway_requests_inside", inside, null, "Requests that are being answered.");
        _meter.CreateObservableGauge("kvasir_gateway_requests_waiting", () => doors.Queue.Waiting, null, "Requests that wait for room.");
        _meter.CreateObservableGauge("kvasir_gateway_index_bytes", () => caches.Bytes, null, "Bytes of the cache indexes.");
        _meter.CreateObservableCounter("kvasir_gateway_index_unremembered_blocks", () => caches.Events.Unremembered, null, "Blocks that found no room in the exact index.");
        Gauge("kvasir_gateway_worker_in_flight", "Requests at a worker.", worker => worker.Load.InFlight);
        Gauge("kvasir_gateway_worker_pending_tokens", "Uncached prompt tokens that a worker has yet to compute.", worker => worker.Load.PendingTokens);
        Gauge("kvasir_gateway_worker_ready", "Whether a worker takes requests.", worker => worker.TakesRequests ? 1 : 0);
        Gauge("kvasir_gateway_worker_trust", "What a predicted cached token of a worker is worth, 0 to 1.", worker => worker.Trust.Factor);
        Gauge("kvasir_gateway_worker_fallback", "Whether what is known of a worker's cache does not come true.", worker => worker.Trust.State(fromEvents: true) == TrustState.Fallback ? 1 : 0);
        Events("received", "Messages of cache events that came.", counts => counts.Received);
        Events("lost", "Messages of cache events that were lost for good.", counts => counts.Lost);
        Events("unreadable", "Messages of cache events in a form that is not known.", counts => counts.Unreadable);
        Gauge("kvasir_gateway_worker_prefill_rate", "Measured tokens per second.", worker => worker.Rate.IsMeasured ? worker.Rate.Value() : 0);

        void Events(string name, string what, Func<KvEventCounts, long> read) => _meter.CreateObservableCounter($"kvasir_gateway_worker_events_{name}",
            () => fleet.Workers.Where(worker => caches.Events.Told(worker) is not null).Select(worker => new Measurement<long>(read(caches.Events.Told(worker)?.Counts ?? default), Of(worker.Address.Name))), null, what);
        void Gauge(string name, string what, Func<Worker, double> read) => _meter.CreateObservableGauge(name,
            () => fleet.Workers.Select(worker => new Measurement<double>(read(worker), Of(worker.Address.Name))), null, what);
    }

    /// <summary>The meter's name.</summary>
    public string Name => _meter.Name;

    internal void CountRefusal(string tenant, string reason) => _refused.Add(1, new("tenant", tenant), new KeyValuePair<string, object?>("reason", reason));

    internal void CountRetry(string worker) => _retries.Add(1, Of(worker));

    internal void CountFailure(string worker) => _failures.Add(1, Of(worker));

    internal void CountAnswer(string worker, DecisionReceipt receipt, int? completionTokens)
    {
        _requests.Add(1, Of(worker), new KeyValuePair<string, object?>("outcome", receipt.Outcome is { Length: 3 } status && char.IsAsciiDigit(status[0]) ? status : "failed"));
        foreach (var shadow in receipt.Shadows) _shadowSeconds.Add(shadow.Seconds, new KeyValuePair<string, object?>("policy", shadow.Policy));
        if (!receipt.Shadows.IsEmpty && receipt.ChosenSeconds is { } own) _shadowSeconds.Add(own, new KeyValuePair<string, object?>("policy", receipt.Policy));
        if (receipt.FirstTokenSeconds is { } seconds) _firstToken.Record(seconds, Of(worker));
        if (receipt.ActualPromptTokens is { } prompt) _promptTokens.Add(prompt, Of(worker));
        if (completionTokens is { } completion) _completionTokens.Add(completion, Of(worker));
        if (receipt.ActualCachedTokens is not { } cached) return;
        _cachedTokens.Add(cached, Of(worker));
        _predictedTokens.Add((long)receipt.PredictedCachedTokens, Of(worker));
    }

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    private static KeyValuePair<string, object?> Of(string worker) => new("worker", worker);
}
