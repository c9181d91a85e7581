using System.Collections.Immutable;
using Kvasir.Checkpoints;
using Kvasir.Engine.Inspection;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Engine.Model;
using Kvasir.Engine.Sampling;
using Kvasir.Engine.Scheduling;
using Kvasir.Kernels;

namespace Kvasir.Engine;

/// <summary>
/// Runs a model inside a memory budget: tokens in, tokens out. Requests join and leave between steps; each gets the text
/// it would have got alone.
/// </summary>
public sealed partial class LlmEngine : IAsyncDisposable
{
    private readonly EngineOptions _options;
    private readonly TimeProvider _time;
    private readonly StepLoop _loop;
    private readonly ImmutableArray<IDisposable> _owned;
    private readonly BlockPool _pool;
    private readonly PrefixCache _cache;
    private readonly EngineSleep _sleep;
    private readonly Random _seeds;
    private int _disposed;

    private LlmEngine(ModelSpec spec, EngineOptions options, EngineMemoryPlan plan, MemoryLedger ledger, StepLoop loop, PrefixCache cache, BlockPool pool, EngineSleep sleep, TimeProvider time, ImmutableArray<IDisposable> owned)
    {
        (Spec, _options, Plan, Ledger, _loop, _cache, _pool, _sleep, _time, _owned) = (spec, options, plan, ledger, loop, cache, pool, sleep, time, owned);
        // Requests without a seed get one of their own; what they generate can be repeated with it.
        _seeds = new Random(unchecked((int)time.GetTimestamp()));
    }

    /// <summary>The model.</summary>
    public ModelSpec Spec { get; }

    /// <summary>What was planned, and so reserved.</summary>
    public EngineMemoryPlan Plan { get; }

    /// <summary>What keys and values below 16 bits cost, where that was tried at the start.</summary>
    public KvCanaryResult? KvCanary { get; private init; }

    /// <summary>What is reserved.</summary>
    public MemoryLedger Ledger { get; }

    /// <summary>Raised on the engine's thread, within a step, for each kept block that gives way: receivers must be quick.</summary>
    public event Action<BlockEviction>? BlockEvicted;

    /// <summary>Most tokens of one sequence.</summary>
    public int ContextTokens => Plan.ContextTokens;

    /// <summary>Loads a model.</summary>
    /// <param name="checkpoint">Its files; must outlive the engine when <see cref="EngineOptions.Mapped"/>, or where it shall give its weights back and take them again.</param>
    /// <param name="options">How to run it.</param>
    /// <param name="progress">Told how far loading is.</param>
    /// <param name="time">The clock.</param>
    /// <exception cref="MemoryBudgetException">It does not fit.</exception>
    /// <exception cref="KvCanaryException">Keys and values in so few bits make it worse than allowed.</exception>
    /// <exception cref="KvTierException">The KV tier's folder cannot be used.</exception>
    /// <exception cref="CheckpointException">The engine cannot run such a model.</exception>
    public static LlmEngine Create(Checkpoint checkpoint, EngineOptions? options = null, IProgress<LoadProgress>? progress = null, TimeProvider? time = null)
    {
        var engine = CreateStill(checkpoint, options, progress, time);
        engine._loop.Start();
        return engine;
    }

    /// <summary>An engine that moves by <see cref="Step"/> alone.</summary>
    internal static LlmEngine CreateStill(Checkpoint checkpoint, EngineOptions? options = null, IProgress<LoadProgress>? progress = null, TimeProvider? time = null)
    {
        options ??= new EngineOptions();
        time ??= TimeProvider.System;
        var spec = checkpoint.Spec;
        var ledger = options.Ledger ?? new MemoryLedger(MemoryBudget.LedgerBytes(options.MemoryBytes));
        var plan = EngineMemoryPlan.For(spec, checkpoint.Tensors, options, ledger.BudgetBytes);
        var owned = new Stack<IDisposable>();
        T Own<T>(T item) where T : IDisposable
        {
            owned.Push(item);
            return item;
        }
        try
        {
            var reserved = plan.Lines.ToDictionary(line => line.Name, line => Own(ledger.Reserve(line.Name, line.Bytes)));
            var team = Own(new WorkerTeam(options.Threads ?? Environment.ProcessorCount));
            var weights = Own(WeightLoader.Load(checkpoint, team, options.Mapped, reads: !options.StartsAsleep || Engine.KvCanary.IsWanted(options), progress));
            var blockMemory = Own(new NativeBuffer(plan.Bytes(EngineMemoryPlan.KvLine)));
            var memory = new KvMemory(plan.Groups, plan.KvBlocks, blockMemory.All);
            var buffers = new DecoderBuffers(spec, plan.StepTokens, EngineMemoryPlan.LogitRows);
            var decoder = Own(new Decoder(spec, weights, memory.Layers, team, buffers, plan.ContextTokens));
            var canary = Engine.KvCanary.Try(spec, options, decoder, blockMemory, plan);
            StepLoop? loop = null;
            var events = options.KvEvents is { } publish && options.PrefixCache ? new KvEventLog(publish, time) : null;
            var tiers = KvTierFiles.Open(checkpoint, plan, options, memory, owned.Push, () => loop?.Wake(), events, time);
            var retention = new RetentionEviction(EvictionPolicies.Create(options.Eviction, plan.KvBlocks), plan.KvBlocks, time);
            var tenants = new TenantEviction(retention, plan.KvBlocks, options.TenantKvShare);
            var blocks = new BlockPool(plan.KvBlocks, tenants);
            var cache = new PrefixCache(blocks, plan.Groups, memory.Copy, tiers, events, time, retention, tenants, options.KvWrites);
            LlmEngine? engine = null;
            cache.Evicted = eviction => engine?.BlockEvicted?.Invoke(eviction);
            var sleep = Own(new EngineSleep(ledger, plan, reserved, blockMemory, weights, () => WeightLoader.Refill(checkpoint, team, weights.Arena!), cache));
            if (options.StartsAsleep) sleep.Sleep(SleepLevel.Weights);
            loop = new StepLoop(decoder, new Scheduler(cache, plan.KvBlocks, options), new Sampler(spec.VocabularySize), cache, blocks, tiers, events, plan, time) { Sleeps = sleep.Level };
            return engine = new LlmEngine(spec, options, plan, ledger, loop, cache, blocks, sleep, time, [.. owned]) { KvCanary = canary };
        }
        catch
        {
            foreach (var item in owned) item.Dispose();
            throw;
        }
    }

    /// <summary>Takes a request into the queue; tokens come as they are computed.</summary>
    /// <exception cref="RequestException">It is wrong, can never fit, or the queue is full.</exception>
    public GenerationStream Submit(GenerationRequest request)
    {
        Check(request);
        var stream = new GenerationStream(_loop.Leave);
        ulong seed;
        if (request.Sampling.Seed is { } fixedSeed) seed = fixedSeed;
        else lock (_seeds) seed = (ulong)_seeds.NextInt64();
        var limit = (int)Math.Min(ContextTokens, (long)request.Prompt.Length + request.MaxTokens);
        var sequence = new Sequence(request, stream, new BlockTable(_pool, Plan.Groups, TenantName.Root(request.CacheSalt)) { Retention = request.Retention, Owner = TenantName.Digest(request.Tenant) }, seed, Math.Max(limit, request.Prompt.Length), _time.GetTimestamp());
        stream.PromptLogProbabilities = sequence.PromptScores;
        _loop.Submit(sequence, _options.MaxSequences, _options.MaxQueue);
        return stream;
    }

    /// <summary>The state now.</summary>
    public EngineSnapshot Snapshot() => _loop.Snapshot(Ledger);

    /// <summary>Where the memory is: asked of the engine's thread, which answers between two steps.</summary>
    /// <exception cref="RequestException">Too many ask, or the engine has ended.</exception>
    public Task<MemoryReport> MemoryAsync() => _loop.AskAsync(() => _loop.Memory(Ledger));

    /// <summary>Takes in what came and computes one step; waits a moment where all that runs waits for a tier.</summary>
    internal void Step()
    {
        _loop.Turn();
        _loop.AwaitTiers();
    }

    /// <summary>The KV blocks' books.</summary>
    internal BlockPool Blocks => _pool;

    /// <summary>Refuses new requests and returns when the running and waiting ones are done.</summary>
    public Task DrainAsync() => _loop.DrainAsync();

    /// <summary>Ends at once: unfinished requests fail, memory is given back.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        await _loop.StopAsync().ConfigureAwait(false);
        // What was reserved last goes first; the tiers' threads wake the loop until then.
        foreach (var item in _owned) item.Dispose();
        _loop.Dispose();
    }

    /// <summary>Refuses what no queue and no waiting would help; asleep or awake.</summary>
    /// <exception cref="RequestException">It is wrong, or can never fit.</exception>
    public void Check(GenerationRequest request)
    {
        var prompt = request.Prompt;
        if (prompt.IsDefaultOrEmpty) throw new RequestException(RefusalKind.Invalid, "The prompt is empty; at least one token is needed.");
        foreach (var token in prompt)
            if ((uint)token >= (uint)Spec.VocabularySize)
                throw new RequestException(RefusalKind.Invalid, $"Token {token} is not in the vocabulary of {Spec.VocabularySize}.");
        if (request.MaxTokens < 0) throw new RequestException(RefusalKind.Invalid, $"max_tokens is {request.MaxTokens}, but must be 0 or more.");
        if (request.TopLogProbabilities is < 0 or > 20) throw new RequestException(RefusalKind.Invalid, $"top_logprobs is {request.TopLogProbabilities}, but must be between 0 and 20.");
        if (request.Retention is { } hint && (hint.Priority is < 0 or > KvRetention.HighestPriority || hint.Time <= TimeSpan.Zero || hint.Time > KvRetention.MostTime))
            throw new RequestException(RefusalKind.Invalid, $"kv_retention is priority {hint.Priority} for {hint.Time.TotalSeconds} s, but must be between 0 and {KvRetention.HighestPriority}, for up to {KvRetention.MostTime.TotalSeconds} s.");
        if (request.Sampling.Problem() is { } problem) throw new RequestException(RefusalKind.Invalid, problem);
        var least = prompt.Length + (request.MaxTokens > 0 ? 1 : 0);
        if (least <= ContextTokens) return;
        // What more memory would help is told apart from what it would not.
        throw least <= (_options.ContextTokens ?? Spec.ContextLength)
            ? new RequestException(RefusalKind.ExceedsKvCache, $"The prompt has {prompt.Length} tokens, but the KV cache holds {ContextTokens} in all ({new ByteSize(Plan.KvBytesPerToken)} each). Shorten it, or raise --memory.")
            : new RequestException(RefusalKind.ExceedsContext, $"The prompt has {prompt.Length} tokens, but the context is {_options.ContextTokens ?? Spec.ContextLength}. Shorten it, or raise --context (the model was trained for {Spec.ContextLength}).");
    }
}
