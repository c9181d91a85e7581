using System.Diagnostics.CodeAnalysis;
using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Monitoring;
using Kvasir.Server.Transport;

namespace Kvasir.Server;

/// <summary>What the endpoints share: the engine once it is there, who may come in, and who is inside.</summary>
public sealed class ServerState : IDisposable
{
    private readonly TaskCompletionSource empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock gate = new();
    private KvasirEngine? engine;
    private bool isDraining;
    private int inside;

    internal ServerState(ServerOptions options, TimeProvider time)
    {
        Options = options;
        Time = time;
        Bodies = new RequestBody(options.MaxBodyBytes);
        Tenants = new Tenants(options, time);
        Metrics = new ServerMetrics(() => engine, () => Inside);
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

    /// <summary>The engine, or null while it is loading.</summary>
    public KvasirEngine? Engine => engine;

    /// <summary>Whether the server is about to stop.</summary>
    public bool IsDraining => Volatile.Read(ref isDraining);

    /// <summary>Requests for tokens that are being answered.</summary>
    public int Inside => Volatile.Read(ref inside);

    /// <summary>Names the model answers to, its own first.</summary>
    public IReadOnlyList<string> ModelNames =>
        !Options.ServedModelNames.IsEmpty ? Options.ServedModelNames : engine is null ? [] : [engine.Name];

    /// <summary>Makes the server ready.</summary>
    public void Attach(KvasirEngine loaded)
    {
        loaded.Engine.BlockEvicted += Metrics.CountEviction;
        engine = loaded;
    }

    /// <summary>Lets a request in; it must <see cref="Leave"/>. Refused while the model loads and once the server drains.</summary>
    public bool TryEnter([NotNullWhen(true)] out KvasirEngine? ready, [NotNullWhen(false)] out RequestFailure? failure)
    {
        lock (gate)
        {
            ready = engine;
            if (isDraining || ready is null)
            {
                failure = isDraining
                    ? new RequestFailure(FailureKind.Draining, "The server is shutting down and takes no new requests.")
                    : new RequestFailure(FailureKind.Loading, "The model is still loading; try again in a moment.");
                return false;
            }
            failure = null;
            inside++;
            return true;
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

    /// <summary>Refuses new requests; the task ends when the last one inside has left.</summary>
    public Task BeginDrain()
    {
        lock (gate)
        {
            isDraining = true;
            if (inside == 0) empty.TrySetResult();
            return empty.Task;
        }
    }

    /// <summary>Whether this server answers to the name; an absent name means its only model.</summary>
    public bool Serves(string? model, [NotNullWhen(false)] out RequestFailure? failure)
    {
        failure = model is null || ModelNames.Contains(model, StringComparer.Ordinal)
            ? null
            : new RequestFailure(FailureKind.ModelNotFound,
                $"The model '{(model.Length <= 100 ? model : model[..100] + "…")}' does not exist here. Available: {string.Join(", ", ModelNames)}.", "model");
        return failure is null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // An engine may outlive the servers over it.
        if (engine is not null) engine.Engine.BlockEvicted -= Metrics.CountEviction;
        Bodies.Dispose();
        Listing.Dispose();
        Metrics.Dispose();
    }
}
