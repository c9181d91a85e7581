using System.Collections.Immutable;

namespace Kvasir.Cli.Benchmarks;

/// <summary>What <c>bench engine</c> measured.</summary>
internal sealed record EngineFigures
{
    /// <summary>The architecture's name.</summary>
    public required string Model { get; init; }
    /// <summary>Weights.</summary>
    public required long Parameters { get; init; }
    /// <summary>Bytes of the checkpoint.</summary>
    public required long FileBytes { get; init; }
    /// <summary>Types of its matrices, the one with most bytes first.</summary>
    public required string Types { get; init; }
    /// <summary>The kernel strategy.</summary>
    public required string Kernels { get; init; }
    /// <summary>How keys and values were stored.</summary>
    public required string KvType { get; init; }
    /// <summary>Threads that compute, and that read for the bandwidth.</summary>
    public required int Threads { get; init; }
    /// <summary>What was measured.</summary>
    public required EngineWork Work { get; init; }
    /// <summary>Seconds until the engine was ready.</summary>
    public required double LoadSeconds { get; init; }
    /// <summary>Read bandwidth in bytes per second, one per round.</summary>
    public required Samples Bandwidth { get; init; }
    /// <summary>Prompt tokens per second.</summary>
    public required Samples Prefill { get; init; }
    /// <summary>Decoding, by batch size.</summary>
    public required ImmutableArray<DecodeFigures> Decode { get; init; }
    /// <summary>Bytes of weights that one decoding step reads.</summary>
    public required long StepBytes { get; init; }
    /// <summary>Memory.</summary>
    public required MemoryFigures Memory { get; init; }

    /// <summary>Bytes of weights per second that decoding reads: one pass over them makes a token of each sequence.</summary>
    public double WeightRate(DecodeFigures decode) => decode.TokensPerSecond.Median / decode.Batch * StepBytes;

    /// <summary>The same as a part of the bandwidth; above 1 where the weights stay in the processor's caches.</summary>
    public double BandwidthShare(DecodeFigures decode) => WeightRate(decode) / Bandwidth.Highest;
}

/// <summary>Decoding of <paramref name="Batch"/> sequences together.</summary>
/// <param name="Batch">Sequences.</param>
/// <param name="TokensPerSecond">Of all sequences together.</param>
internal sealed record DecodeFigures(int Batch, Samples TokensPerSecond);

/// <summary>Memory in bytes.</summary>
/// <param name="PeakBytes">Most resident memory of the process.</param>
/// <param name="WeightsBytes">The weights, as loaded.</param>
/// <param name="KvBytes">The KV cache.</param>
/// <param name="LedgerBytes">All that the engine reserved.</param>
internal sealed record MemoryFigures(long PeakBytes, long WeightsBytes, long KvBytes, long LedgerBytes)
{
    /// <summary>What the process took beside weights and KV cache.</summary>
    public long BesideBytes => PeakBytes - WeightsBytes - KvBytes;
}

/// <summary>The same measurement, several times.</summary>
internal sealed record Samples(ImmutableArray<double> Values)
{
    /// <summary>The middle one.</summary>
    public double Median => Values.Order().ElementAt(Values.Length / 2) is var upper && Values.Length % 2 == 1
        ? upper
        : (upper + Values.Order().ElementAt(Values.Length / 2 - 1)) / 2;

    /// <summary>The lowest one.</summary>
    public double Lowest => Values.Min();

    /// <summary>The highest one.</summary>
    public double Highest => Values.Max();
}
