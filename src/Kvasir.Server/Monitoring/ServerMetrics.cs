using System.Diagnostics.Metrics;
using Kvasir.Engine;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Server.Turns;

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

    /// <summary>Upper bounds for one model's making room for another, in seconds.</summary>
    public static readonly double[] SwapBounds = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160];

    private static int servers;

    private readonly Meter meter;
    private readonly ServerState state;
    private readonly Histogram<double> blockIdle, blockLifetime, swaps;
    private readonly Counter<long> promptTokens, cachedTokens, generatedTokens, successes, failures;

    internal ServerMetrics(ServerState state)
    {
        this.state = state;
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
        swaps = meter.CreateHistogram<double>("kvasir_model_swap_seconds", null, "From the choice of a model to wake until it is awake, another put to sleep for it included.");
        ObserveEngines();
        ObserveMemory();
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
    public void CountEviction(ServedModel model, BlockEviction eviction)
    {
        blockIdle.Record(eviction.IdleSeconds, model.Labels);
        blockLifetime.Record(eviction.LifetimeSeconds, model.Labels);
    }

    /// <summary>Counts a model's waking in its turn.</summary>
    public void CountSwap(ServedModel model, TimeSpan took) => swaps.Record(took.TotalSeconds, model.Labels);

    /// <summary>Counts an answer's tokens.</summary>
    public void CountTokens(ServedModel model, int prompt, int cached, int generated)
    {
        promptTokens.Add(prompt, model.Labels);
        cachedTokens.Add(cached, model.Labels);
        generatedTokens.Add(generated, model.Labels);
    }

    /// <summary>Counts an answer by why it ended; of no model where it ended before one was asked for.</summary>
    public void CountSuccess(ServedModel? model, string finishReason) => successes.Add(1, Labels(model, ("finished_reason", finishReason)));

    /// <summary>Counts a request that was not answered; of no model where it failed before one was found.</summary>
    public void CountFailure(ServedModel? model, Protocol.OpenAi.RequestFailure failure) => failures.Add(1, Labels(model,
        ("code", failure.Code), ("stage", failure.Stage.ToString()), ("party", failure.Party.ToString())));

    /// <inheritdoc/>
    public void Dispose() => meter.Dispose();

    private void ObserveEngines()
    {
        Gauge("kvasir_num_requests_running", "Sequences that run.", now => now.Running);
        Observe("kvasir_num_requests_waiting", "Requests that wait, for the engine or for the model to wake.",
            (model, now) => now.Waiting + (state.Turns?.Waiting(model) ?? 0), meter.CreateObservableGauge);
        Gauge("kvasir_sleep_level", "0: awake; 1: the KV cache is given back to the system; 2: the weights too.", now => (double)now.Sleeps);
        Gauge("kvasir_kv_cache_usage_perc", "Share of KV blocks in use, 0 to 1.", now => now.KvBlocks == 0 ? 0 : (double)now.KvBlocksUsed / now.KvBlocks);
        Gauge("kvasir_kv_cache_tokens", "Tokens for which the KV cache has room while no sliding window has passed any.", now => now.KvTokens);
        Gauge("kvasir_kv_cache_blocks", "KV blocks in all: 16 tokens each, of one group of layers.", now => now.KvBlocks);
        Gauge("kvasir_kv_cache_blocks_used", "KV blocks in use.", now => now.KvBlocksUsed);
        Gauge("kvasir_kv_cache_blocks_idle", "KV blocks whose contents are kept for later requests.", now => now.KvBlocksIdle);
        Gauge("kvasir_kv_cache_blocks_pinned", "KV blocks that pins hold.", now => now.KvBlocksPinned);
        Total("kvasir_kv_pins_broken", "Pins that had to yield to requests.", now => now.BrokenPins);
        Total("kvasir_num_preemptions", "Sequences that gave way to others.", now => now.Preemptions);
        Total("kvasir_prefix_cache_queries", "Prompt tokens looked up in the prefix cache.", now => now.PrefixQueryTokens);
        Total("kvasir_prefix_cache_hits", "Prompt tokens found in the prefix cache.", now => now.PrefixHitTokens);
        Total("kvasir_kv_cache_evictions", "KV blocks whose contents gave way to others.", now => now.KvEvictions);
        Total("kvasir_engine_steps", "Steps of the engine.", now => now.Steps);
        Total("kvasir_engine_prompt_tokens", "Prompt tokens computed, with those computed again.", now => now.PromptTokens);
        Total("kvasir_engine_generation_tokens", "Tokens sampled.", now => now.GeneratedTokens);
        Total("kvasir_engine_book_seconds", "Of the time spent in steps, that for choosing what runs and for the KV cache's books.", now => now.BookSeconds);
        Total("kvasir_engine_step_seconds", "Time spent in steps.", now => now.StepSeconds);

        void Gauge(string name, string what, Func<EngineSnapshot, double> read) => Observe(name, what, (_, now) => read(now), meter.CreateObservableGauge);
        void Total(string name, string what, Func<EngineSnapshot, double> read) => Observe(name, what, (_, now) => read(now), meter.CreateObservableCounter);
        void Observe<T>(string name, string what, Func<ServedModel, EngineSnapshot, double> read, Func<string, Func<IEnumerable<Measurement<double>>>, string?, string?, T> create) =>
            create(name, () => state.Models.IsEmpty ? [new Measurement<double>(0)]
                : state.Models.Select(model => new Measurement<double>(read(model, model.Engine.Engine.Snapshot()), model.Labels)), null, what);
    }

    private void ObserveMemory()
    {
        meter.CreateObservableGauge("kvasir_http_requests_inside", () => state.Inside, null, "Requests for tokens that are being answered.");
        meter.CreateObservableGauge("kvasir_memory_budget_bytes", () => state.Ledger?.BudgetBytes ?? 0, null, "What the ledger may hold, of all models together.");
        meter.CreateObservableGauge("kvasir_ledger_bytes",
            () => state.Models.Zip(MemoryLedger.LinesOf([.. state.Models.Select(model => model.Engine.Engine.Ledger)]))
                .SelectMany(pair => pair.Second, (pair, line) => new Measurement<long>(line.Bytes, Labels(pair.First, ("owner", line.Name)))),
            null, "Bytes reserved, by owner.");

        Tier("kvasir_kv_tier_blocks", "KV blocks that a tier can hold.", tier => tier.Blocks, meter.CreateObservableGauge);
        Tier("kvasir_kv_tier_blocks_used", "KV blocks that a tier holds.", tier => tier.UsedBlocks, meter.CreateObservableGauge);
        Tier("kvasir_kv_tier_stored_blocks", "KV blocks taken in.", tier => tier.Stored, meter.CreateObservableCounter);
        Tier("kvasir_kv_tier_loaded_blocks", "KV blocks given back to the device.", tier => tier.Loaded, meter.CreateObservableCounter);
        Tier("kvasir_kv_tier_evicted_blocks", "KV blocks that gave way to others.", tier => tier.Evicted, meter.CreateObservableCounter);
        Tier("kvasir_kv_tier_damaged_blocks", "KV blocks that were not what was written, and were computed again.", tier => tier.Damaged, meter.CreateObservableCounter);

        void Tier<T>(string name, string what, Func<KvTierState, long> read, Func<string, Func<IEnumerable<Measurement<long>>>, string?, string?, T> create) =>
            create(name, () => state.Models.SelectMany(model => model.Engine.Engine.Snapshot().KvTiers,
                (model, tier) => new Measurement<long>(read(tier), Labels(model, ("tier", tier.Name)))), null, what);
    }

    private static KeyValuePair<string, object?>[] Labels(ServedModel? model, params (string Name, string? Value)[] others) =>
        [.. others.Select(other => KeyValuePair.Create(other.Name, (object?)other.Value)), .. model is null ? [] : model.Labels];

    private void ObserveProcess()
    {
        meter.CreateObservableGauge("kvasir_process_resident_bytes", () => Environment.WorkingSet, null, "Resident memory of the process.");
        meter.CreateObservableGauge("kvasir_managed_heap_bytes", () => GC.GetTotalMemory(false), null, "Managed objects, garbage included.");
    }
}
