using Kvasir.Planning.Fit;

namespace Kvasir.Simulation.Workers;

/// <summary>How fast a simulated worker is and how much it holds, in a form that a step can afford to ask.</summary>
public sealed record WorkerSpeed
{
    private const int LargestBatch = 512, ProbeTokens = 8192, ProbeContext = 8192;

    /// <summary>Seconds per prompt token.</summary>
    public required double PrefillSeconds { get; init; }
    /// <summary>Seconds per pair of a prompt token and one before it.</summary>
    public required double AttentionSeconds { get; init; }
    /// <summary>Seconds of a decoding step by the number of sequences, without their caches.</summary>
    public required double[] DecodeSeconds { get; init; }
    /// <summary>Seconds per token of context that a decoding step reads.</summary>
    public required double ReadSeconds { get; init; }
    /// <summary>Tokens of the KV cache.</summary>
    public required long CapacityTokens { get; init; }
    /// <summary>Prompt tokens computed in one step.</summary>
    public int ChunkTokens { get; init; } = 8192;
    /// <summary>Sequences that run at once.</summary>
    public int MaxSequences { get; init; } = 256;

    /// <summary>By the planner's cost model: straight lines through two points of each curve.</summary>
    public static WorkerSpeed Of(StepTimes times, long capacityTokens)
    {
        var (half, whole) = (times.PrefillSeconds(ProbeTokens, 0), times.PrefillSeconds(ProbeTokens, ProbeContext));
        var attention = (whole - half) / ((double)ProbeTokens * ProbeContext);
        var decode = new double[LargestBatch + 1];
        for (var batch = 1; batch <= LargestBatch; batch++) decode[batch] = times.DecodeSeconds(batch, 0);
        return new WorkerSpeed
        {
            PrefillSeconds = (half - (attention * ProbeTokens * ProbeTokens / 2)) / ProbeTokens,
            AttentionSeconds = attention,
            DecodeSeconds = decode,
            ReadSeconds = (times.DecodeSeconds(1, 1 << 20) - decode[1]) / (1 << 20),
            CapacityTokens = capacityTokens,
        };
    }

    /// <summary>A worker told by two figures, as rough as they are.</summary>
    /// <param name="prefillTokensPerSecond">Of a short prompt.</param>
    /// <param name="decodeStepSeconds">One decoding step.</param>
    /// <param name="capacityTokens">Tokens of its KV cache.</param>
    public static WorkerSpeed Flat(double prefillTokensPerSecond, double decodeStepSeconds, long capacityTokens) => new()
    {
        PrefillSeconds = 1 / prefillTokensPerSecond,
        AttentionSeconds = 0,
        DecodeSeconds = [.. Enumerable.Repeat(decodeStepSeconds, LargestBatch + 1)],
        ReadSeconds = 0,
        CapacityTokens = capacityTokens,
    };

    /// <summary>The same worker, slower or faster.</summary>
    public WorkerSpeed Times(double speed) => this with
    {
        PrefillSeconds = PrefillSeconds / speed,
        AttentionSeconds = AttentionSeconds / speed,
        ReadSeconds = ReadSeconds / speed,
        DecodeSeconds = [.. DecodeSeconds.Select(seconds => seconds / speed)],
    };

    /// <summary>Seconds of a step.</summary>
    /// <param name="prefillTokens">Prompt tokens in it.</param>
    /// <param name="attentionPairs">Pairs of those with the tokens before them.</param>
    /// <param name="decodes">Sequences that decode in it.</param>
    /// <param name="contextTokens">Tokens in the contexts of those.</param>
    public double StepSeconds(int prefillTokens, double attentionPairs, int decodes, double contextTokens)
    {
        var decode = decodes == 0 ? 0 : DecodeSeconds[Math.Min(decodes, DecodeSeconds.Length - 1)] + (contextTokens * ReadSeconds);
        // Weights are read once for both; what prefill computes comes on top of what decoding reads.
        return prefillTokens == 0 ? decode : (prefillTokens * PrefillSeconds) + (attentionPairs * AttentionSeconds) + (decodes == 0 ? 0 : contextTokens * ReadSeconds);
    }
}
