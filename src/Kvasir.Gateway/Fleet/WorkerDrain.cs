using Kvasir.Adapters;

namespace Kvasir.Gateway.Fleet;

/// <summary>How far a worker is emptied.</summary>
public enum DrainState
{
    /// <summary>It is sent nothing new, and something still runs or waits there, or has not been seen to have ended.</summary>
    Draining,
    /// <summary>Nothing of the gateway's runs there, and by the engine's own word nobody else's.</summary>
    Drained,
}

/// <summary>
/// A worker being emptied. No engine has a route that drains it, so it is sent nothing new; it is empty when the gateway's
/// own requests have ended and metrics that were read after that say that nothing runs or waits.
/// </summary>
/// <param name="State">How far.</param>
/// <param name="OwnRequests">Requests of this gateway that have not ended.</param>
/// <param name="EngineRequests">Requests that have not ended by the engine's metrics, whoever sent them; null where it tells none.</param>
public readonly record struct WorkerDrain(DrainState State, int OwnRequests, double? EngineRequests)
{
    /// <summary>How far <paramref name="worker"/> is; null where it is not being emptied.</summary>
    public static WorkerDrain? Of(Worker worker)
    {
        if (worker.DrainingSince is not { } since) return null;
        var own = worker.Load.InFlight;
        // What does not answer runs nothing. What tells nothing of itself is taken at the gateway's word.
        var left = worker.Health == WorkerHealth.Down ? 0 : worker.Reading.Unfinished;
        var isTold = left is null || worker.Health == WorkerHealth.Down || left == 0 && worker.ReadAt > Math.Max(since, worker.Load.EndedAt);
        return new WorkerDrain(own == 0 && isTold ? DrainState.Drained : DrainState.Draining, own, left);
    }
}
