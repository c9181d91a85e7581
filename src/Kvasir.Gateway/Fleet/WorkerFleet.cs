using System.Collections.Immutable;

namespace Kvasir.Gateway.Fleet;

/// <summary>The workers. The list is replaced whole when it changes; numbers of workers that left are used again.</summary>
public sealed class WorkerFleet(TimeProvider time, int capacity = WorkerFleet.DefaultCapacity)
{
    /// <summary>Most workers at a time unless told otherwise.</summary>
    public const int DefaultCapacity = 256;

    private readonly Lock _lock = new();
    private ImmutableArray<Worker> _workers = [];

    /// <summary>Most workers at a time.</summary>
    public int Capacity => capacity;

    /// <summary>The workers now.</summary>
    public ImmutableArray<Worker> Workers => _workers;

    /// <summary>A worker came or left.</summary>
    public event Action<Worker, bool>? Changed;

    /// <summary>Makes the list what configuration says: unchanged workers stay with all that is known of them.</summary>
    /// <exception cref="GatewayConfigurationException">There are too many, or two have one name.</exception>
    public void Apply(IReadOnlyCollection<WorkerAddress> addresses)
    {
        if (addresses.Count > capacity) throw new GatewayConfigurationException($"{addresses.Count} workers are more than the {capacity} that one gateway takes.");
        if (addresses.GroupBy(address => address.Name).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new GatewayConfigurationException($"Two workers are named '{twice.Key}'; every worker needs a name of its own.");
        List<Worker> left, came = [];
        lock (_lock)
        {
            var kept = _workers.Where(worker => addresses.Contains(worker.Address)).ToList();
            left = [.. _workers.Except(kept)];
            var free = new Queue<int>(Enumerable.Range(0, capacity).Except(kept.Select(worker => worker.Number)));
            foreach (var address in addresses.Where(address => kept.All(worker => worker.Address != address)))
                came.Add(new Worker(free.Dequeue(), address, time));
            foreach (var worker in left) worker.Removed = true;
            _workers = [.. kept.Concat(came).OrderBy(worker => worker.Number)];
        }
        foreach (var worker in left) Changed?.Invoke(worker, false);
        foreach (var worker in came) Changed?.Invoke(worker, true);
    }

    /// <summary>The worker of that name, or null.</summary>
    public Worker? Find(string name) => _workers.FirstOrDefault(worker => worker.Address.Name == name);

    /// <summary>Mean of the measured prefill rates: the best guess about a worker that was not measured.</summary>
    public double MeanRate()
    {
        var (sum, count) = (0.0, 0);
        foreach (var worker in _workers)
            if (worker.Rate.IsMeasured) (sum, count) = (sum + worker.Rate.Value(), count + 1);
        return count == 0 ? PrefillRate.Prior : sum / count;
    }
}
