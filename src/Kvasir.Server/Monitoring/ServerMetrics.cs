using System.Diagnostics.Metrics;
using Kvasir.Engine;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.KvCache.Tiers;

namespace Kvasir.Server.Monitoring;

/// <summary>
/// What <c>/metrics</c> tells. Names follow vLLM's, with <c>kvasir_</c> in place of <c>vllm:</c>; see docs/reference/http-api.md.
/// </summary>
public sealed class ServerMetrics : IDisposable
{
    /// <summary>Name of the first server's meter; further ones in the same process add a number, so that each tells its own figures.</summary>
    public const string MeterName = "Kvasir.Server";

    /// <summary>Upper bounds for first tokens, in seconds (vLLM's).</summary>
    public static readonly double[] FirstTokenBounds =
        [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560];

    /// <summary>Upper bounds between tokens, in seconds (vLLM's).</summary>
    public static readonly double[] InterTokenBounds =
        [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];

    /// <summary>Upper bounds for whole requests, in seconds (vLLM's).</summary>
    public static readonly double[] RequestBounds =
        [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680];

    /// <summary>Upper bounds for the ages of KV blocks, in seconds.</summary>
    public static readonly double[] BlockAgeBounds =
        [0.1, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];

    private static int servers;

    private readonly Meter meter;
    private readonly Histogram<double> blockIdle, blockLifetime;
    private readonly Counter<long> promptTokens, cachedTokens, generatedTokens, successes, failures;

    internal ServerMetrics(Func<KvasirEngine?> engine, Func<int> inside)
    {
        var number = Interlocked.Increment(ref servers);
        meter = new Meter(number == 1 ? MeterName : $"{MeterName}.{number}");
        promptTokens = meter.CreateCounter<long>("kvasir_prompt_tokens", null, "Prompt tokens of answered requests.");
        cachedTokens = meter.CreateCounter<long>("kvasir_prompt_tokens_cached", null, "Prompt tokens that were not computed again.");
        generatedTokens = meter.CreateCounter<long>("kvasir_generation_tokens", null, "Tokens generated.");
        successes = meter.CreateCounter<long>("kvasir_request_success", null, "Answered requests by why they ended.");
        failures = meter.CreateCounter<long>("kvasir_request_failure", null, "Refused and broken requests by code, stage and party.");
        FirstToken = meter.CreateHistogram<double>("kvasir_time_to_first_token_seconds", null, "From the request to its first token.");
        InterToken = meter.CreateHistogram<double>("kvasir_inter_token_latency_seconds", null, "Between two tokens of an answer.");
        PerOutputToken = meter.CreateHistogram<double>("kvasir_request_time_per_output_token_seconds", null, "Mean time between an answer's tokens.");
        EndToEnd = meter.CreateHistogram<double>("kvasir_e2e_request_latency_seconds", null, "From the request to the end of its answer.");
        QueueTime = meter.CreateHistogram<double>("kvasir_request_queue_time_seconds", null, "From the request to its first step.");
        PrefillTime = meter.CreateHistogram<double>("kvasir_request_prefill_time_seconds", null, "From the first step to the first token.");
        DecodeTime = meter.CreateHistogram<double>("kvasir_request_decode_time_seconds", null, "From the first token to the last.");
        blockIdle = meter.CreateHistogram<double>("kvasir_kv_block_idle_before_evict_seconds", null, "From a KV block's last use to its giving way.");
        blockLifetime = meter.CreateHistogram<double>("kvasir_kv_block_lifetime_seconds", null, "From a KV block's being filled to its giving way.");
        ObserveEngine(() => engine()?.Engine.Snapshot(), inside);
        ObserveProcess();
    }

    /// <summary>The meter's name.</summary>
    public string Name => meter.Name;

    /// <summary>From the request to its first token, in seconds.</summary>
    public Histogram<double> FirstToken { get; }

    /// <summary>Between two tokens of an answer, in seconds.</summary>
    public Histogram<double> InterToken { get; }

    /// <summary>Mean time between an answer's tokens, in seconds.</summary>
    public Histogram<double> PerOutputToken { get; }

    /// <summary>From the request to the end of its answer, in seconds.</summary>
    public Histogram<double> EndToEnd { get; }

    /// <summary>From the request to its first step, in seconds.</summary>
    public Histogram<double> QueueTime { get; }

    /// <summary>From the first step to the first token, in seconds.</summary>
    public Histogram<double> PrefillTime { get; }

    /// <summary>From the first token to the last, in seconds.</summary>
    public Histogram<double> DecodeTime { get; }

    /// <summary>Takes the ages of a block that gave way; for the engine's thread.</summary>
    public void CountEviction(BlockEviction eviction)
    {
        blockIdle.Record(eviction.IdleSeconds);
        blockLifetime.Record(eviction.LifetimeSeconds);
    }

    /// <summary>Counts an answer's tokens.</summary>
    public void CountTokens(int prompt, int cached, int generated)
    {
        promptTokens.Add(prompt);
        cachedTokens.Add(cached);
        generatedTokens.Add(generated);
    }

    /// <summary>Counts an answer by why it ended.</summary>
    public void CountSuccess(string finishReason) =>
        successes.Add(1, new KeyValuePair<string, object?>("finished_reason", finishReason));

    /// <summary>Counts a request that was not answered.</summary>
    public void CountFailure(Protocol.OpenAi.RequestFailure failure) => failures.Add(1,
        new("code", failure.Code), new("stage", failure.Stage.ToString()), new("party", failure.Party.ToString()));

    /// <inheritdoc/>
    public void Dispose() => meter.Dispose();

    private void ObserveEngine(Func<EngineSnapshot?> snapshot, Func<int> inside)
    {
        Gauge("kvasir_num_requests_running", "Sequences that run.", state => state.Running);
        Gauge("kvasir_num_requests_waiting", "Requests that wait.", state => state.Waiting);
        Gauge("kvasir_sleep_level", "0: awake; 1: the KV cache is given back to the system; 2: the weights too.", state => (double)state.Sleeps);
        Gauge("kvasir_kv_cache_usage_perc", "Share of KV blocks in use, 0 to 1.", state => state.KvBlocks == 0 ? 0 : (double)state.KvBlocksUsed / state.KvBlocks);
        Gauge("kvasir_kv_cache_tokens", "Tokens for which the KV cache has room while no sliding window has passed any.", state => state.KvTokens);
        Gauge("kvasir_kv_cache_blocks", "KV blocks in all: 16 tokens each, of one group of layers.", state => state.KvBlocks);
        Gauge("kvasir_kv_cache_blocks_used", "KV blocks in use.", state => state.KvBlocksUsed);
        Gauge("kvasir_kv_cache_blocks_idle", "KV blocks whose contents are kept for later requests.", state => state.KvBlocksIdle);
        Gauge("kvasir_kv_cache_blocks_pinned", "KV blocks that pins hold.", state => state.KvBlocksPinned);
        Total("kvasir_kv_pins_broken", "Pins that had to yield to requests.", state => state.BrokenPins);
        Gauge("kvasir_memory_budget_bytes", "What the ledger may hold.", state => state.BudgetBytes);
        Total("kvasir_num_preemptions", "Sequences that gave way to others.", state => state.Preemptions);
        Total("kvasir_prefix_cache_queries", "Prompt tokens looked up in the prefix cache.", state => state.PrefixQueryTokens);
        Total("kvasir_prefix_cache_hits", "Prompt tokens found in the prefix cache.", state => state.PrefixHitTokens);
        Total("kvasir_kv_cache_evictions", "KV blocks whose contents gave way to others.", state => state.KvEvictions);
        Total("kvasir_engine_steps", "Steps of the engine.", state => state.Steps);
        Total("kvasir_engine_prompt_tokens", "Prompt tokens computed, with those computed again.", state => state.PromptTokens);
        Total("kvasir_engine_generation_tokens", "Tokens sampled.", state => state.GeneratedTokens);
        meter.CreateObservableCounter("kvasir_engine_book_seconds", () => snapshot()?.BookSeconds ?? 0, null, "Of the time spent in steps, that for choosing what runs and for the KV cache's books.");
        meter.CreateObservableCounter("kvasir_engine_step_seconds", () => snapshot()?.StepSeconds ?? 0, null, "Time spent in steps.");
        meter.CreateObservableGauge("kvasir_http_requests_inside", inside, null, "Requests for tokens that are being answered.");
        meter.CreateObservableGauge("kvasir_ledger_bytes",
            () => (snapshot()?.Ledger ?? []).Select(line => new Measurement<long>(line.Bytes, new KeyValuePair<string, object?>("owner", line.Name))),
            null, "Bytes reserved, by owner.");

        Tier("kvasir_kv_tier_blocks", "KV blocks that a tier can hold.", tier => tier.Blocks, meter.CreateObservableGauge);
        Tier("kvasir_kv_tier_blocks_used", "KV blocks that a tier holds.", tier => tier.UsedBlocks, meter.CreateObservableGauge);
        Tier("kvasir_kv_tier_stored_blocks", "KV blocks taken in.", tier => tier.Stored, meter.CreateObservableCounter);
        Tier("kvasir_kv_tier_loaded_blocks", "KV blocks given back to the device.", tier => tier.Loaded, meter.CreateObservableCounter);
        Tier("kvasir_kv_tier_evicted_blocks", "KV blocks that gave way to others.", tier => tier.Evicted, meter.CreateObservableCounter);
        Tier("kvasir_kv_tier_damaged_blocks", "KV blocks that were not what was written, and were computed again.", tier => tier.Damaged, meter.CreateObservableCounter);

        void Tier<T>(string name, string what, Func<KvTierState, long> read, Func<string, Func<IEnumerable<Measurement<long>>>, string?, string?, T> create) =>
            create(name, () => (snapshot()?.KvTiers ?? []).Select(tier => new Measurement<long>(read(tier), new KeyValuePair<string, object?>("tier", tier.Name))), null, what);
        void Gauge(string name, string what, Func<EngineSnapshot, double> read) =>
            meter.CreateObservableGauge(name, () => snapshot() is { } state ? read(state) : 0, null, what);
        void Total(string name, string what, Func<EngineSnapshot, long> read) =>
            meter.CreateObservableCounter(name, () => snapshot() is { } state ? read(state) : 0, null, what);
    }

    private void ObserveProcess()
    {
        meter.CreateObservableGauge("kvasir_process_resident_bytes", () => Environment.WorkingSet, null, "Resident memory of the process.");
        meter.CreateObservableGauge("kvasir_managed_heap_bytes", () => GC.GetTotalMemory(false), null, "Managed objects, garbage included.");
    }
}
