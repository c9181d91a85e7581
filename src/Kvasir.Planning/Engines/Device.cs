namespace Kvasir.Planning.Engines;

/// <summary>One accelerator, as far as an engine's memory rules ask about it.</summary>
/// <param name="Name">Its name, for messages.</param>
/// <param name="Bytes">Memory as the runtime (CUDA, HIP) reports it: less than the label and less than nvidia-smi prints.</param>
public sealed record Device(string Name, long Bytes)
{
    /// <summary>CUDA compute capability, 0 for other makers' devices.</summary>
    public double ComputeCapability { get; init; }
    /// <summary>Bytes that the driver's tool (nvidia-smi) prints; <see cref="Bytes"/> where unknown.</summary>
    public long ToolBytes { get; init; } = Bytes;
    /// <summary>Whether a fast link joins several of them (NVLink, Infinity Fabric), or PCIe alone.</summary>
    public bool FastLink { get; init; }
    /// <summary>Memory is the machine's own (GB10, Strix Halo, Apple): what the system uses is missing.</summary>
    public bool Unified { get; init; }
    /// <summary>Bytes that other processes hold now.</summary>
    public long UsedBytes { get; init; }
    /// <summary>Bytes of the runtime's context in each process, outside what engines count as theirs.</summary>
    public long ContextBytes { get; init; } = 450L << 20;

    /// <summary>GiB of <see cref="Bytes"/>.</summary>
    public double Gibibytes => Bytes / (double)(1L << 30);
}
