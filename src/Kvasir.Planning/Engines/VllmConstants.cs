namespace Kvasir.Planning.Engines;

/// <summary>
/// What differs between versions of vLLM (memory model §4.1, §5; read in its sources and in start-up logs). A row holds
/// from its version until the next.
/// </summary>
/// <param name="Minor">First version, 0.N.</param>
/// <param name="Utilization">Default of --gpu-memory-utilization.</param>
/// <param name="SamplerBytes">Bytes per sequence and vocabulary entry while sampling is profiled.</param>
/// <param name="WorkspaceStays">The expert workspace is still held when sampling is profiled.</param>
/// <param name="GraphsInside">Graphs are estimated and taken from the budget.</param>
/// <param name="OtherMiB">Memory outside torch on one GPU, MiB.</param>
/// <param name="OtherLinkedMiB">The same with two ranks over NVLink.</param>
/// <param name="OtherManyMiB">The same with four ranks and more over NVLink.</param>
/// <param name="OtherPcieMiB">The same with tensor parallelism over PCIe.</param>
/// <param name="ConcurrentBatches">Batches in flight, which sliding windows must hold room for.</param>
/// <param name="GroupsWindows">Layers of several kinds get pools of their own kind; else every layer is priced as full.</param>
/// <param name="PrintsConcurrency">"GPU KV cache size" is concurrency × context; before, blocks per group × block size.</param>
/// <param name="StateBlocks">Blocks that a request holds per group of state layers: one, and one for the prefix cache.</param>
internal sealed record VllmConstants(
    int Minor, double Utilization, double SamplerBytes, bool WorkspaceStays, bool GraphsInside, int OtherMiB, int OtherLinkedMiB, int OtherManyMiB, int OtherPcieMiB,
    int ConcurrentBatches, bool GroupsWindows, bool PrintsConcurrency, int StateBlocks = 1)
{
    /// <summary>First version whose engine is "V1": prefill in chunks by default, whatever the context.</summary>
    public const int FirstChunked = 8;
    /// <summary>First version that takes the cache's size in bytes.</summary>
    public const int FirstExactPool = 11;
    /// <summary>Sequences by default on GPUs of less than 70 GiB and A100s.</summary>
    public const int SmallCardSequences = 256;
    /// <summary>First version with latent attention; until V1 its entries are aligned to so many bytes.</summary>
    public const int FirstLatent = 7, LatentAlignment = 256;
    /// <summary>Bytes per patch and unit of width that a vision tower takes for a picture (logs of Qwen2.5-VL with 1, 2 and 7 pictures and videos).</summary>
    public const double PatchBytes = 31.55;
    /// <summary>More overhead where host and device share memory: 1, 5 and 10 GiB were logged on Jetson and GB10.</summary>
    public static Band SharedMemory { get; } = new(1L << 30, 5L << 30, 10L << 30);

    public static IReadOnlyList<VllmConstants> ByVersion { get; } =
    [
        new(0, 0.90, 37.6, false, false, 300, 550, 1650, 250, 1, false, false),
        new(7, 0.90, 37.6, false, false, 60, 550, 1650, 250, 1, false, false),
        new(11, 0.90, 37.6, false, false, 130, 550, 1650, 250, 1, true, false),
        new(14, 0.90, 37.6, false, false, 130, 1400, 1650, 250, 2, true, false),
        new(17, 0.90, 14.1, true, false, 130, 2100, 2150, 500, 2, true, false, 2),
        new(18, 0.90, 14.1, true, false, 260, 2100, 2150, 700, 2, true, false, 2),
        new(21, 0.90, 14.1, true, true, 260, 2100, 2150, 700, 2, true, true, 2),
        new(22, 0.92, 8.6, true, true, 260, 2100, 2150, 700, 2, true, true, 2),
    ];

    public static VllmConstants For(int? minor) => ByVersion.Last(row => row.Minor <= (minor ?? int.MaxValue));
}
