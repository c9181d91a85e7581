using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kvasir.Planning.Hardware;

/// <summary>One line of gpus.json.</summary>
internal sealed record GpuEntry
{
    public required string Id { get; init; }
    public required string Name { get; init; }
    public ImmutableArray<string> Aliases { get; set; } = [];
    public required string Vendor { get; init; }
    public required string Architecture { get; init; }
    public required string ComputeCapability { get; init; }
    public int? LabelGb { get; set; }
    public long? ToolMib { get; set; }
    public double[]? CapacityGib { get; set; }
    public required string CapacityIs { get; init; }
    public required double BandwidthGbs { get; init; }
    public required ImmutableDictionary<string, double> Tflops { get; init; }
    public double? LinkGbs { get; set; }
    public string Pcie { get; set; } = "";
    public int? TdpW { get; set; }
    public bool Bf16 { get; set; }
    public bool Unified { get; set; }
    public double? ContextGib { get; set; }
    public required string SpecsFrom { get; init; }
    public required string Confidence { get; init; }
    public ImmutableArray<int> MemoryOptionsGb { get; set; } = [];
    public ImmutableArray<MigEntry> Mig { get; set; } = [];

    /// <summary>The cards that the line describes: one, or a machine for each size of memory it is sold with.</summary>
    public IEnumerable<Gpu> Gpus() => MemoryOptionsGb.IsEmpty
        ? [Card(CapacityGib![0], CapacityGib[1], CapacityGib[2])]
        : MemoryOptionsGb.Select(Machine);

    private Gpu Card(double low, double likely, double high) => new()
    {
        Id = Id, Name = Name, Vendor = Vendor, Architecture = Architecture, ComputeCapability = ComputeCapability,
        Bytes = GiB(likely), LowBytes = GiB(low), HighBytes = GiB(high),
        Evidence = CapacityIs == "observed" ? CapacityEvidence.Observed : CapacityEvidence.Estimated,
        ToolBytes = ToolMib << 20, LabelGigabytes = LabelGb, ContextBytes = ContextGib is { } context ? GiB(context) : 460L << 20,
        Unified = Unified, Bandwidth = BandwidthGbs * 1e9, OperationsPerSecond = Tflops.ToImmutableDictionary(pair => pair.Key, pair => pair.Value * 1e12),
        LinkBandwidth = LinkGbs * 1e9, Pcie = Pcie == "-" ? "" : Pcie, Watts = TdpW, Bf16 = Bf16, Confidence = Confidence,
        MigProfiles = [.. Mig.Select(profile => new MigProfile(profile.Profile, profile.Slices, profile.Max, profile.Gib is { } gib ? GiB(gib) : null))],
    };

    // Metal's recommended working set: two thirds of memory up to 36 GB, three quarters above.
    private Gpu Machine(int gigabytes)
    {
        var likely = gigabytes * (gigabytes <= 36 ? 2 / 3.0 : 0.75);
        return Card(gigabytes * 2 / 3.0, likely, gigabytes * 0.8) with { Id = $"{Id}-{gigabytes}", Name = $"{Name} {gigabytes}GB", LabelGigabytes = gigabytes };
    }

    private static long GiB(double count) => (long)Math.Round(count * (1L << 30));

    internal sealed record MigEntry(string Profile, int Slices, int Max, double? Gib);
}

/// <summary>gpus.json as a whole.</summary>
internal sealed record GpuFile(ImmutableArray<GpuEntry> Gpus)
{
    public static GpuFile Embedded()
    {
        using var stream = typeof(GpuFile).Assembly.GetManifestResourceStream("gpus.json")!;
        return JsonSerializer.Deserialize(stream, GpuJson.Default.GpuFile)!;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(GpuFile))]
internal sealed partial class GpuJson : JsonSerializerContext;
