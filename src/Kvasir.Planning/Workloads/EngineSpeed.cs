using Kvasir.Planning.Fit;

namespace Kvasir.Planning.Workloads;

/// <summary>How fast an engine works, for playing a workload: a straight line through two batches of the roofline.</summary>
/// <param name="PrefillTokensPerSecond">Tokens of prompts.</param>
/// <param name="StepSeconds">Of a decoding step, whatever its batch.</param>
/// <param name="StepSecondsPerSequence">More for each sequence in it.</param>
public sealed record EngineSpeed(double PrefillTokensPerSecond, double StepSeconds, double StepSecondsPerSequence)
{
    private const int LargerBatch = 64;

    /// <summary>The roofline's speeds for a plan's model, GPU and split.</summary>
    /// <exception cref="PlanException">The GPU's speed is not known.</exception>
    public static EngineSpeed Of(MemoryPlan plan)
    {
        var alone = plan.Throughput ?? throw new PlanException($"The speed of {plan.Request.Gpu.Name} is not known, so no workload can be played on it. Give a GPU of the catalogue with --gpu.");
        var together = MemoryPlanner.Plan(plan.Request with { Concurrency = LargerBatch }).Throughput!;
        var (one, many) = (1 / alone.DecodeTokensPerSecond, LargerBatch / together.BatchTokensPerSecond);
        var each = Math.Max(0, (many - one) / (LargerBatch - 1));
        return new EngineSpeed(alone.PrefillTokensPerSecond, Math.Max(1e-6, one - each), each);
    }

    /// <summary>Seconds of one step over so many sequences.</summary>
    public double Step(int sequences) => StepSeconds + (sequences * StepSecondsPerSequence);
}
