using System.Collections.Immutable;
using Kvasir.Adapters;

namespace Kvasir.Gateway.Fleet;

/// <summary>What probes say about a worker.</summary>
public enum WorkerHealth
{
    /// <summary>Not asked yet.</summary>
    Unknown,
    /// <summary>It takes requests.</summary>
    Ready,
    /// <summary>It answers, but takes no requests now: loading, draining.</summary>
    NotReady,
    /// <summary>It does not answer.</summary>
    Down,
}

/// <summary>A worker and what is known of it. Parts are replaced whole, so that readers need no lock.</summary>
public sealed class Worker
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(10);
    private readonly TimeProvider _time;
    private long _readySince;

    /// <param name="number">Its number in the fleet.</param>
    /// <param name="address">What configuration says.</param>
    /// <param name="time">The clock.</param>
    public Worker(int number, WorkerAddress address, TimeProvider time)
    {
        (Number, Address, _time) = (number, address, time);
        (Breaker, Load) = (new CircuitBreaker(time), new WorkerLoad(time));
        Adapter = address.Engine is { } kind ? EngineAdapter.Of(kind) : EngineAdapter.Of(EngineKind.OpenAi);
        Models = address.Model is { } model ? [model] : [];
    }

    /// <summary>Its number in the fleet; the index knows it by this.</summary>
    public int Number { get; }

    /// <summary>What configuration says.</summary>
    public WorkerAddress Address { get; }

    /// <summary>How to speak to it; found by asking where configuration leaves it open.</summary>
    public EngineAdapter Adapter { get; internal set; }

    /// <summary>What was sent there and has not ended.</summary>
    public WorkerLoad Load { get; }

    /// <summary>How fast it prefills.</summary>
    public PrefillRate Rate { get; } = new();

    /// <summary>Whether it fails.</summary>
    public CircuitBreaker Breaker { get; }

    /// <summary>How far predictions about its cache come true.</summary>
    public CacheTrust Trust { get; } = new();

    /// <summary>What probes say.</summary>
    public WorkerHealth Health { get; private set; }

    /// <summary>What its metrics said last.</summary>
    public EngineReading Reading { get; private set; } = new();

    /// <summary>When they were asked for, as the clock's stamp; 0 for never.</summary>
    public long ReadAt { get; private set; }

    /// <summary>Requests that ran or waited there, minus ours, when its metrics were read last.</summary>
    public int OthersWaiting { get; internal set; }

    /// <summary>Names of the models it serves; empty while unknown.</summary>
    public ImmutableArray<string> Models { get; internal set; }

    /// <summary>Whether somebody asked to send it nothing new.</summary>
    public bool Draining
    {
        get => DrainingSince is not null;
        set => DrainingSince = value ? DrainingSince ?? _time.GetTimestamp() : null;
    }

    /// <summary>When that was, as the clock's stamp.</summary>
    public long? DrainingSince { get; private set; }

    /// <summary>Whether it was sent away by a new configuration.</summary>
    public bool Removed { get; internal set; }

    /// <summary>Whether requests may be sent there now.</summary>
    public bool TakesRequests => !Draining && !Removed && Health is WorkerHealth.Ready or WorkerHealth.Unknown && Breaker.WouldAllow();

    /// <summary>Share of full traffic that it may get, 0 to 1: it rises while a fresh worker warms up.</summary>
    public double Warmth => Health != WorkerHealth.Ready || Volatile.Read(ref _readySince) == 0 ? 1
        : Math.Min(1, 0.1 + 0.9 * (_time.GetElapsedTime(Volatile.Read(ref _readySince)) / WarmUp));

    /// <summary>Whether it serves the model; a worker whose models are unknown may.</summary>
    public bool Serves(string? model) => model is null || Models.IsEmpty || Models.Contains(model);

    /// <summary>Metrics came.</summary>
    /// <param name="reading">What they say.</param>
    /// <param name="askedAt">When they were asked for, as the clock's stamp.</param>
    internal void Take(EngineReading reading, long askedAt) => (Reading, ReadAt) = (reading, askedAt);

    /// <summary>A probe came back. True when the worker became ready after it was away, and so may have lost its cache.</summary>
    internal bool Observe(WorkerHealth health)
    {
        var before = Health;
        Health = health;
        if (health != WorkerHealth.Ready || before == WorkerHealth.Ready) return false;
        // The first fleet starts at full speed: slow start is for workers that join a running one.
        if (before != WorkerHealth.Unknown) Volatile.Write(ref _readySince, _time.GetTimestamp());
        if (before == WorkerHealth.Down) Rate.Reset();
        return before == WorkerHealth.Down;
    }
}
