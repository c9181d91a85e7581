using System.Collections.Immutable;
using Kvasir.Gateway.Fleet;

namespace Kvasir.Gateway.Discovery;

/// <summary>
/// Keeps the fleet equal to the workers that are configured and those that are found. A look-up that fails, or that finds
/// none, changes nothing: a name service that is away must not empty a fleet that serves.
/// </summary>
public sealed class DiscoveryLoop(WorkerFleet fleet, EndpointFinder finder, TimeProvider time)
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private readonly Lock _lock = new();
    private readonly Dictionary<WorkerDiscovery, (ImmutableArray<WorkerAddress> Workers, long At)> _found = [];
    private ImmutableArray<WorkerAddress> _configured = [];
    private ImmutableArray<WorkerDiscovery> _discoveries = [];

    /// <summary>Replaces what configuration says.</summary>
    /// <exception cref="GatewayConfigurationException">The fleet would be impossible.</exception>
    public void Apply(ImmutableArray<WorkerAddress> configured, ImmutableArray<WorkerDiscovery> discoveries)
    {
        lock (_lock)
        {
            (_configured, _discoveries) = (configured, discoveries);
            foreach (var gone in _found.Keys.Except(discoveries).ToArray()) _found.Remove(gone);
            Merge();
        }
    }

    /// <summary>Looks up until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(Tick, time);
        while (await timer.WaitForNextTickAsync(cancel)) await LookAsync(cancel);
    }

    /// <summary>Looks up what is due.</summary>
    public async Task LookAsync(CancellationToken cancel)
    {
        ImmutableArray<WorkerDiscovery> due;
        lock (_lock) due = [.. _discoveries.Where(discovery => !_found.TryGetValue(discovery, out var known) || time.GetElapsedTime(known.At) >= discovery.Interval)];
        foreach (var discovery in due)
        {
            var addresses = await finder.FindAsync(discovery, cancel);
            lock (_lock)
            {
                if (!_discoveries.Contains(discovery)) continue;
                var before = _found.TryGetValue(discovery, out var known) ? known.Workers : [];
                var after = addresses is { IsEmpty: false } found ? [.. found.Select(discovery.At)] : before;
                _found[discovery] = (after, time.GetTimestamp());
                if (!after.SequenceEqual(before)) Merge();
            }
        }
    }

    /// <summary>What is configured wins over what is found at the same address.</summary>
    private void Merge() =>
        fleet.Apply([.. _configured.Concat(_found.Values.SelectMany(found => found.Workers)).DistinctBy(worker => worker.Address).DistinctBy(worker => worker.Name).Take(fleet.Capacity)]);
}
