using System.Collections.Immutable;
using Kvasir.Checkpoints;
using Kvasir.Checkpoints.Remote;
using Kvasir.Engine;
using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Engine.Model;

namespace Kvasir;

/// <summary>
/// Several models in this process inside one memory budget. Some are awake at a time, each with an equal share of the
/// budget; the others sleep, their weights unread. Who wakes and who sleeps is the caller's to say: an engine that would
/// wake beside too many finds the ledger full.
/// </summary>
public sealed class ModelSet : IAsyncDisposable
{
    /// <summary>Managed memory of a tokenizer per token of its vocabulary; that of GPT-2 with its 50,257 tokens and their merges took 274 (.NET 10, November 2026).</summary>
    private const long TokenizerBytesPerToken = 300;

    private ModelSet(MemoryLedger ledger, int awake, ImmutableArray<KvasirEngine> engines) => (Ledger, Awake, Engines) = (ledger, awake, engines);

    /// <summary>What all models have reserved together.</summary>
    public MemoryLedger Ledger { get; }

    /// <summary>How many may be awake at a time.</summary>
    public int Awake { get; }

    /// <summary>The models in the order they were named; the first <see cref="Awake"/> of them begin awake.</summary>
    public ImmutableArray<KvasirEngine> Engines { get; }

    /// <summary>Opens, checks and plans all models, then loads those that begin awake.</summary>
    /// <param name="paths">At least one; see <see cref="KvasirEngine.LoadAsync"/>.</param>
    /// <param name="names">A name for each; empty for their files' names.</param>
    /// <param name="awake">How many may be awake at a time, 1 to all.</param>
    /// <param name="options">How to run each. Memory and KV tiers are what all have together; KV events are refused, for they do not tell models apart.</param>
    /// <param name="progress">Told how many bytes of a model's weights are ready.</param>
    /// <param name="cancel">Stops a download; gives up before loading begins.</param>
    /// <exception cref="ArgumentException">The options contradict each other, or two models have one name.</exception>
    /// <exception cref="CheckpointException">A model's files are damaged, or of a kind that is not supported.</exception>
    /// <exception cref="MemoryBudgetException">A model does not fit its share.</exception>
    /// <exception cref="KvTierException">The KV tier's folder cannot be used, or two models of the same contents would share it.</exception>
    public static async Task<ModelSet> LoadAsync(
        IReadOnlyList<string> paths, IReadOnlyList<string> names, int awake, KvasirOptions options, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default)
    {
        var files = new List<string>(paths.Count);
        foreach (var path in paths)
            files.Add(HubModel.IsHubName(path) ? await HubDownload.FetchAsync(HubModel.Parse(path), HubOptions.FromEnvironment(), cancel: cancel).ConfigureAwait(false) : path);
        ImmutableArray<string> all = names.Count > 0 ? [.. names] : [.. files.Select(KvasirEngine.NameOf)];
        if (Problem(files, all, awake, options) is { } problem) throw new ArgumentException(problem, nameof(options));
        return await Task.Run(() => Load(files, all, awake, options, progress), cancel).ConfigureAwait(false);
    }

    /// <summary>What contradicts itself, as a sentence; null when nothing does.</summary>
    /// <param name="paths">The models' files.</param>
    /// <param name="names">A name for each.</param>
    /// <param name="awake">How many may be awake at a time.</param>
    /// <param name="options">How to run each.</param>
    public static string? Problem(IReadOnlyList<string> paths, IReadOnlyList<string> names, int awake, KvasirOptions options)
    {
        if (names.Count != paths.Count) return $"There are {paths.Count} models, but {names.Count} names. With several models each has one, in order (--served-model-name).";
        if (awake < 1 || awake > paths.Count) return $"{awake} models would be awake at a time (--awake), but there are {paths.Count}; give 1 to {paths.Count}.";
        if (options.Engine.KvEvents is not null) return "KV events do not say whose they are, and so cannot be told of several models. Serve each in a process of its own.";
        foreach (var twins in names.Select((name, index) => (Name: name, Path: paths[index])).GroupBy(model => model.Name, StringComparer.Ordinal))
            if (twins.Count() > 1) return $"{twins.Count()} models are named '{twins.Key}': {string.Join(" and ", twins.Select(model => model.Path))}. Rename a file or folder, or name all models in order (--served-model-name, once for each).";
        return null;
    }

    /// <summary>Ends what is running and gives all memory back.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var engine in Engines) await engine.DisposeAsync().ConfigureAwait(false);
    }

    private static ModelSet Load(List<string> paths, ImmutableArray<string> names, int awake, KvasirOptions options, IProgress<LoadProgress>? progress)
    {
        var opened = new List<Checkpoint>();
        var engines = new KvasirEngine?[paths.Count];
        try
        {
            foreach (var path in paths) opened.Add(Checkpoint.Open(path));
            var each = options.Engine with { KvHostBytes = options.Engine.KvHostBytes / paths.Count, KvDisk = Divide(options.Engine.KvDisk, paths.Count) };
            // One process has one runtime, but a tokenizer per model; the runtime's share has room for the largest.
            var vocabularies = opened.Select(checkpoint => (long)checkpoint.Spec.VocabularySize).Order().SkipLast(1).Sum();
            var ledger = new MemoryLedger(Math.Max(0, MemoryBudget.LedgerBytes(options.Engine.MemoryBytes) - (vocabularies * TokenizerBytesPerToken)));
            var share = Share(opened, names, each, awake, ledger.BudgetBytes);
            // Who sleeps comes first, so that at no time more are awake than may be: trying few bits for keys and values wakes for a moment.
            for (var i = paths.Count - 1; i >= 0; i--)
            {
                var name = names[i];
                var engine = each with { Ledger = new MemoryLedger(share, ledger, name), StartsAsleep = i >= awake, Warn = text => options.Engine.Warn($"{name}: {text}") };
                try
                {
                    engines[i] = KvasirEngine.Load(opened[i], options with { Engine = engine, ModelName = name }, progress);
                }
                catch (KvTierException error) when (Twin(opened, i) is { } twin)
                {
                    throw new KvTierException($"'{name}' and '{names[twin]}' are one model, whose keys and values --kv-disk keeps in one folder. Serve it once, or drop --kv-disk.", error);
                }
            }
            return new ModelSet(ledger, awake, [.. engines.Select(engine => engine!)]);
        }
        catch
        {
            // Nothing runs yet that an end would have to wait for.
            foreach (var engine in engines) engine?.DisposeAsync().AsTask().GetAwaiter().GetResult();
            foreach (var checkpoint in opened) checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>What each model may take; all are planned, so that none is refused later.</summary>
    private static long Share(List<Checkpoint> models, ImmutableArray<string> names, EngineOptions options, int awake, long budget)
    {
        var plans = models.Select((_, index) => Plan(index, budget / awake)).ToArray();
        var share = EngineMemoryPlan.ShareBytes(plans, awake, budget);
        for (var i = 0; i < plans.Length; i++) Plan(i, share);
        return share;

        EngineMemoryPlan Plan(int index, long bytes)
        {
            try
            {
                return EngineMemoryPlan.For(models[index].Spec, models[index].Tensors, options, bytes);
            }
            catch (MemoryBudgetException error)
            {
                var kept = budget - (bytes * awake);
                throw new MemoryBudgetException($"'{names[index]}'", error.NeededBytes, error.FreeBytes,
                    $"That is its share of {new ByteSize(budget)}: of {models.Count} models {awake} {(awake == 1 ? "is" : "are")} awake at a time"
                    + (kept >= awake ? $", and those that sleep keep {new ByteSize(kept)}. " : ". ") + (awake > 1 ? "Lower --awake. " : "") + error.Remedy);
            }
        }
    }

    /// <summary>A later model of the same contents; null when there is none.</summary>
    private static int? Twin(List<Checkpoint> models, int index)
    {
        var twin = models.FindIndex(index + 1, other => other.Digest == models[index].Digest);
        return twin < 0 ? null : twin;
    }

    private static KvDiskOptions? Divide(KvDiskOptions? disk, int count) => disk is null ? null : disk with { Bytes = Math.Max(1, disk.Bytes / count) };
}
