using System.Collections.Immutable;
using System.Globalization;

namespace Kvasir.Planning.Hardware;

/// <summary>Where a capacity comes from.</summary>
public enum CapacityEvidence
{
    /// <summary>Engines' start-up logs showed it.</summary>
    Observed,
    /// <summary>Worked out from the label or from cards alike.</summary>
    Estimated,
    /// <summary>The user or this machine's driver said so.</summary>
    Given,
}

/// <summary>One accelerator as a kind: what it holds, how fast it reads and computes. Catalogued in gpus.json or given by hand.</summary>
public sealed record Gpu
{
    /// <summary>Short and stable: "h100-sxm-80".</summary>
    public required string Id { get; init; }
    /// <summary>As people write it: "H100 SXM5 80GB".</summary>
    public required string Name { get; init; }
    /// <summary>"NVIDIA", "AMD", "Intel", "Apple", or "" for a card known by its memory alone.</summary>
    public string Vendor { get; init; } = "";
    /// <summary>Generation: "Hopper", "CDNA3".</summary>
    public string Architecture { get; init; } = "";
    /// <summary>"9.0" for CUDA, "gfx942" for ROCm, "" where unknown.</summary>
    public string ComputeCapability { get; init; } = "";

    /// <summary>Bytes that the runtime (CUDA, HIP, Metal) reports as total, the figure engines reckon with.</summary>
    public required long Bytes { get; init; }
    /// <summary>The least that drivers were seen to report.</summary>
    public long LowBytes { get; init; }
    /// <summary>The most that drivers were seen to report.</summary>
    public long HighBytes { get; init; }
    /// <summary>Where <see cref="Bytes"/> comes from.</summary>
    public CapacityEvidence Evidence { get; init; } = CapacityEvidence.Estimated;
    /// <summary>Bytes that nvidia-smi or rocm-smi print; null where they print none.</summary>
    public long? ToolBytes { get; init; }
    /// <summary>Gigabytes on the box, 10⁹ or 2³⁰ as the vendor pleases; null where machines differ.</summary>
    public int? LabelGigabytes { get; init; }
    /// <summary>Bytes of the runtime's context in each process, outside what engines count as theirs.</summary>
    public long ContextBytes { get; init; } = 460L << 20;
    /// <summary>Memory is the machine's own, shared with the CPU.</summary>
    public bool Unified { get; init; }

    /// <summary>Bytes per second that memory delivers at best; null where unknown.</summary>
    public double? Bandwidth { get; init; }
    /// <summary>Floating-point operations per second by type ("bf16", "fp8", "fp4", "int8"), dense; a type without tensor hardware is absent.</summary>
    public ImmutableDictionary<string, double> OperationsPerSecond { get; init; } = ImmutableDictionary<string, double>.Empty;
    /// <summary>Bytes per second to other GPUs, both directions together; null without such a link.</summary>
    public double? LinkBandwidth { get; init; }
    /// <summary>Generation and lanes to the host: "5.0x16"; "" where unknown.</summary>
    public string Pcie { get; init; } = "";
    /// <summary>Watts at full load; null where unknown.</summary>
    public int? Watts { get; init; }
    /// <summary>Computes in bf16; older cards take fp16.</summary>
    public bool Bf16 { get; init; } = true;
    /// <summary>How sure the catalogue is of the whole entry: "high", "medium", "low", or "" for a card given by hand.</summary>
    public string Confidence { get; init; } = "";
    /// <summary>Instances that the card can be cut into.</summary>
    public ImmutableArray<MigProfile> MigProfiles { get; init; } = [];
    /// <summary>The profile, where this is an instance of a card: "3g.40gb". Instances have no link to each other.</summary>
    public string? MigProfile { get; init; }

    /// <summary>CUDA's compute capability as a number, 9.0; 0 for other vendors.</summary>
    public double CudaCapability => double.TryParse(ComputeCapability, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : 0;
    /// <summary>A fast link joins several of them (NVLink, Infinity Fabric); without, PCIe does.</summary>
    public bool HasFastLink => LinkBandwidth > 0;
    /// <summary>Computes in fp8.</summary>
    public bool Fp8 => OperationsPerSecond.ContainsKey("fp8");
    /// <summary>Computes in fp4 (NVFP4, MXFP4).</summary>
    public bool Fp4 => OperationsPerSecond.ContainsKey("fp4");
    /// <summary>GiB of <see cref="Bytes"/>.</summary>
    public double Gibibytes => Bytes / (double)(1L << 30);

    /// <summary>
    /// Bytes per second to the host and, without a link, to other GPUs, one direction: 10⁹ per lane in PCIe's third
    /// generation, twice as much in each later one; null where unknown.
    /// </summary>
    public double? PcieBandwidth
    {
        get
        {
            var at = Pcie.IndexOf('x');
            if (at <= 0 || !double.TryParse(Pcie.AsSpan(0, at), NumberStyles.Float, CultureInfo.InvariantCulture, out var generation)) return null;
            return int.TryParse(Pcie.AsSpan(at + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var lanes) ? lanes * 1e9 * Math.Pow(2, generation - 3) : null;
        }
    }

    /// <summary>A card of which the memory alone is known, as <c>--gpu-memory 80GiB</c> gives it: all of it can be used.</summary>
    public static Gpu WithMemory(long bytes) => bytes > 0
        ? new() { Id = "generic", Name = $"GPU of {new Checkpoints.ByteSize(bytes)}", Bytes = bytes, LowBytes = bytes, HighBytes = bytes, Evidence = CapacityEvidence.Given }
        : throw new HardwareException($"A GPU cannot have {bytes} bytes of memory. Give a size above zero, such as 80GiB.");

    /// <summary>The same card with the memory that somebody measured: <c>--gpu H100 --gpu-memory 79.1GiB</c>.</summary>
    public Gpu HoldingExactly(long bytes) => this with { Bytes = WithMemory(bytes).Bytes, LowBytes = bytes, HighBytes = bytes, Evidence = CapacityEvidence.Given };
}

/// <summary>One way to cut a card into instances with memory and compute of their own.</summary>
/// <param name="Name">"3g.40gb", "1g.10gb+me" (with media engines).</param>
/// <param name="Slices">Compute slices it takes.</param>
/// <param name="MaxInstances">How many fit on a card.</param>
/// <param name="Bytes">Memory the instance reports, or null where nobody has said.</param>
public sealed record MigProfile(string Name, int Slices, int MaxInstances, long? Bytes);

/// <summary>Hardware that is not known, or not described well enough; the message says what would do.</summary>
public sealed class HardwareException : Exception
{
    /// <summary>Creates the error.</summary>
    public HardwareException(string message, Exception? inner = null) : base(message, inner) { }
}
