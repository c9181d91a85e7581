namespace Kvasir.Planning.Engines;

/// <summary>What SGLang chooses by the size of a GPU (memory model §4.2, its server_args).</summary>
/// <param name="FromGibibytes">Smallest GPU the row holds for.</param>
/// <param name="ChunkedPrefill">Tokens per prefill chunk.</param>
/// <param name="GraphSequences">Largest batch with a captured graph, tensor parallelism below 4.</param>
/// <param name="GraphSequencesParallel">The same from 4.</param>
internal sealed record SgLangConstants(int FromGibibytes, int ChunkedPrefill, int GraphSequences, int GraphSequencesParallel)
{
    /// <summary>First version (0.N) that derives its share from what it must reserve; before, the share followed tensor parallelism alone.</summary>
    public const int FirstReserving = 5;
    /// <summary>MiB for graphs of prefill: 58 sizes of 8.</summary>
    public const int PrefillGraphMiB = 464;
    /// <summary>MiB kept free on large GPUs whatever the sum says.</summary>
    public const int LargeReserveMiB = 10_240;
    /// <summary>What loading takes besides tensors, MiB, alone and with tensor parallelism; from start-up logs.</summary>
    public const int LoadExtraMiB = 100, LoadExtraParallelMiB = 250;
    /// <summary>Tokens of a sliding layer's pool per token of a full one (--swa-full-tokens-ratio).</summary>
    public const double WindowRatio = 0.8;
    /// <summary>Bytes for states per byte for tokens (--mamba-full-memory-ratio).</summary>
    public const double StateRatio = 0.9;

    private static readonly SgLangConstants[] BySize =
        [new(0, 2048, 8, 8), new(20, 2048, 24, 80), new(35, 4096, 32, 160), new(60, 8192, 256, 512), new(160, 16384, 512, 512)];

    public static SgLangConstants For(double gibibytes) => BySize.Last(row => row.FromGibibytes <= gibibytes);

    /// <summary>The share of older versions.</summary>
    public static double ShareByTensor(int tensor) => tensor switch { >= 16 => 0.79, >= 8 => 0.81, >= 4 => 0.85, >= 2 => 0.87, _ => 0.88 };
}
