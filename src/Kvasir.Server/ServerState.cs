using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Kvasir.Engine;
using Kvasir.Engine.KvCache;
using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Monitoring;
using Kvasir.Server.Transport;
using Kvasir.Server.Turns;

namespace Kvasir.Server;

/// <summary>What the endpoints share: the models once they are there, who may come in, and who is inside.</summary>
public sealed class ServerState : IAsyncDisposable
{
    private static readonly RequestFailure Loading = new(FailureKind.Loading, "The model is still loading; try again in a moment.");

    private readonly TaskCompletionSource empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock gate = new();
    private readonly List<(LlmEngine Engine, Action<BlockEviction> Count)> watched = [];
    private Attached? attached;
    private bool isDraining;
    private int inside;

    internal ServerState(ServerOptions options, TimeProvider time)
    {
        Options = options;
        Time = time;
        Bodies = new RequestBody(options.MaxBodyBytes);
        Tenants = new Tenants(options, time);
        Metrics = new ServerMetrics(this);
        Started = time.GetUtcNow();
    }

    /// <summary>How the server behaves.</summary>
    public ServerOptions Options { get; }

    /// <summary>Reads request bodies.</summary>
    public RequestBody Bodies { get; }

    /// <summary>Whose requests come in, and what they may use.</summary>
    public Tenants Tenants { get; }

    /// <summary>A list of what is cached copies the books of every tier: one at a time, whoever asks.</summary>
    internal SemaphoreSlim Listing { get; } = new(1);

    /// <summary>Counters and histograms.</summary>
    public ServerMetrics Metrics { get; }

    /// <summary>Clock.</summary>
    public TimeProvider Time { get; }

    /// <summary>When the server was started.</summary>
    public DateTimeOffset Started { get; }

    /// <summary>The models, the one that answers where none is named first; empty while they load.</summary>
    public ImmutableArray<ServedModel> Models => attached?.Models ?? [];

    /// <summary>The first model's engine, or null while it is loading.</summary>
    public KvasirEngine? Engine => attached?.Models[0].Engine;

    /// <summary>Who of the models is awake; null while they load.</summary>
    public ModelTurns? Turns => attached?.Turns;

    /// <summary>What all models have reserved together; null while they load.</summary>
    public MemoryLedger? Ledger => attached?.Ledger;

    /// <summary>Whether the server is about to stop.</summary>
    public bool IsDraining => Volatile.Read(ref isDraining);

    /// <summary>Requests for tokens that are being answered.</summary>
    public int Inside => Volatile.Read(ref inside);

    /// <summary>Names the models answer to, the first model's own first.</summary>
    public IReadOnlyList<string> ModelNames => attached is null ? Options.ServedModelNames : [.. attached.Models.SelectMany(model => model.Names)];

    /// <summary>Lets a request in; it must <see cref="Leave"/>. Refused while the models load and once the server drains.</summary>
    public bool TryEnter([NotNullWhen(false)] out RequestFailure? failure)
    {
        lock (gate)
        {
            failure = isDraining ? new RequestFailure(FailureKind.Draining, "The server is shutting down and takes no new requests.")
                : attached is null ? Loading : null;
            if (failure is null) inside++;
            return failure is null;
        }
    }

    /// <summary>Lets a request out.</summary>
    public void Leave()
    {
        lock (gate)
        {
            inside--;
            if (isDraining && inside == 0) empty.TrySetResult();
        }
    }

    /// <summary>Refuses new requests and those that wait for a model to wake; the task ends when the last one inside has left.</summary>
    public Task BeginDrain()
    {
        lock (gate)
        {
            isDraining = true;
            if (inside == 0) empty.TrySetResult();
        }
        attached?.Turns.BeginDrain();
        return empty.Task;
    }

    /// <summary>The model that answers to the name; an absent name means the first.</summary>
    public bool TryFind(string? name, [NotNullWhen(true)] out ServedModel? model, [NotNullWhen(false)] out RequestFailure? failure)
    {
        model = name is null ? Models.FirstOrDefault() : Models.FirstOrDefault(served => served.Names.Contains(name, StringComparer.Ordinal));
        failure = model is not null ? null : attached is null ? Loading : NotFound(name!);
        return model is not null;
    }

    /// <summary>That no model answers to the name.</summary>
    public RequestFailure NotFound(string name) => new(FailureKind.ModelNotFound,
        $"The model '{(name.Length <= 100 ? name : name[..100] + "…")}' does not exist here. Available: {string.Join(", ", ModelNames)}.", "model");

    /// <summary>Makes the server ready.</summary>
    /// <param name="engines">The models, at least one.</param>
    /// <param name="awake">How many may be awake at a time.</param>
    /// <param name="ledger">What they have reserved together.</param>
    /// <exception cref="ArgumentException">Their names are not one for each, or not all different.</exception>
    internal void Attach(ImmutableArray<KvasirEngine> engines, int awake, MemoryLedger ledger)
    {
        var names = Options.ServedModelNames;
        if (engines.Length > 1 && !names.IsEmpty && names.Length != engines.Length)
            throw new ArgumentException($"There are {engines.Length} models and {names.Length} names; with several models each has one name, in order.");
        ImmutableArray<ServedModel> models =
        [
            .. engines.Select((engine, index) => new ServedModel(names.IsEmpty ? [engine.Name] : engines.Length == 1 ? names : [names[index]], engine, engines.Length > 1)),
        ];
        if (models.Length > 1 && models.Select(model => model.Name).Distinct(StringComparer.Ordinal).Count() < models.Length)
            throw new ArgumentException($"Two models have one name: {string.Join(", ", models.Select(model => model.Name))}.");
        foreach (var model in models)
        {
            Action<BlockEviction> count = eviction => Metrics.CountEviction(model, eviction);
            model.Engine.Engine.BlockEvicted += count;
            watched.Add((model.Engine.Engine, count));
        }
        attached = new Attached(models, new ModelTurns(models, awake, Options, Time) { Swapped = Metrics.CountSwap }, ledger);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (attached is not null) await attached.Turns.StopAsync();
        // An engine may outlive the servers over it.
        foreach (var (engine, count) in watched) engine.BlockEvicted -= count;
        Bodies.Dispose();
        Listing.Dispose();
        Metrics.Dispose();
    }

    private sealed record Attached(ImmutableArray<ServedModel> Models, ModelTurns Turns, MemoryLedger Ledger);
}
