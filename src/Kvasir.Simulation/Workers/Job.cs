using Kvasir.Gateway.Fleet;
using Kvasir.Simulation.Traces;

namespace Kvasir.Simulation.Workers;

/// <summary>A request of a trace that was sent to a worker.</summary>
/// <param name="request">What the trace says.</param>
/// <param name="lease">Its share in the worker's load, as the gateway counts it.</param>
/// <param name="sentSeconds">When it was sent.</param>
internal sealed class Job(TraceRequest request, WorkerLoad.Lease lease, double sentSeconds)
{
    public TraceRequest Request => request;
    public WorkerLoad.Lease Lease => lease;
    public double SentSeconds => sentSeconds;
    public double FirstTokenSeconds { get; set; }
}
