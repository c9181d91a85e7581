using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace Kvasir.Planning.Hardware.Inspection;

/// <summary>NVIDIA's GPUs, their processes and MIG instances, as the driver's library tells.</summary>
internal sealed class NvidiaGpus(Nvml nvml, SystemTree tree, long hostBytes)
{
    // nvmlMemory_v2_t's version field: its size, and 2 in the top byte.
    private static readonly uint Memory2Version = (uint)Unsafe.SizeOf<Nvml.Memory2>() | (2u << 24);
    private const uint MostLinks = 18;
    private const int MostProcesses = 4096;

    /// <summary>All GPUs, in the driver's order.</summary>
    public ImmutableArray<Accelerator> Read()
    {
        var (count, byIndex) = (nvml.Function<Nvml.SystemNumber>("nvmlDeviceGetCount_v2"), nvml.Function<Nvml.DeviceByIndex>("nvmlDeviceGetHandleByIndex_v2"));
        if (count is null || byIndex is null || count(out var devices) != Nvml.Success) return [];
        var found = ImmutableArray.CreateBuilder<Accelerator>();
        for (var index = 0u; index < devices; index++)
            if (byIndex(index, out var device) == Nvml.Success) found.Add(Card((int)index, device));
        return found.ToImmutable();
    }

    private Accelerator Card(int index, nint device)
    {
        var card = Describe(index, device, null);
        return card with { Instances = Instances(device, card), ActiveLinks = Links(device) };
    }

    private Accelerator Describe(int index, nint device, Accelerator? parent)
    {
        var name = nvml.Text("nvmlDeviceGetName", device) ?? "NVIDIA GPU";
        var memory = MemoryOf(device);
        // Processors with a GPU (GB10, Jetson) have no memory to report: it is the host's.
        var shared = memory.Total == 0;
        var total = shared ? hostBytes : memory.Total;
        return new Accelerator
        {
            Index = index, DriverName = name, Source = "NVML", Uuid = nvml.Text("nvmlDeviceGetUUID", device), SharedMemory = shared,
            TotalBytes = total, UsedBytes = shared ? null : memory.Used, Kind = Kind(name, device, total, memory.Reserved, shared, parent),
            Processes = Processes(device),
        };
    }

    private Gpu Kind(string name, nint device, long total, long reserved, bool shared, Accelerator? parent)
    {
        var known = parent is null ? GpuCatalogue.TryFind(name) : Instance(parent.Kind, name);
        // The name may stand for several sizes, and a modified card for more than its maker's.
        if (known is not null && (shared || Math.Abs((total / (double)(known.ToolBytes ?? known.Bytes)) - 1) < 0.08)) return known;
        var usable = total - reserved;
        return new Gpu
        {
            Id = "nvidia-unlisted", Name = name, Vendor = "NVIDIA", ComputeCapability = Capability(device), Unified = shared, Evidence = CapacityEvidence.Given,
            Bytes = usable, LowBytes = (long)(usable * 0.97), HighBytes = usable, ToolBytes = total, Bf16 = Capability(device) is not ("" or "7.0" or "7.2" or "7.5" or "6.0" or "6.1"),
        };
    }

    private static Gpu? Instance(Gpu card, string name)
    {
        var profile = name.Split(' ')[^1];
        return card.MigProfiles.Any(known => known.Name == profile) ? MigInstance.Of(card, profile) : null;
    }

    private (long Total, long Used, long Reserved) MemoryOf(nint device)
    {
        var second = new Nvml.Memory2 { Version = Memory2Version };
        if (nvml.Function<Nvml.DeviceMemory2>("nvmlDeviceGetMemoryInfo_v2")?.Invoke(device, ref second) == Nvml.Success)
            return ((long)second.Total, (long)(second.Total - second.Free), (long)second.Reserved);
        var first = default(Nvml.Memory);
        return nvml.Function<Nvml.DeviceMemory>("nvmlDeviceGetMemoryInfo")?.Invoke(device, ref first) == Nvml.Success
            ? ((long)first.Total, (long)first.Used, 0)
            : default;
    }

    private string Capability(nint device) =>
        nvml.Function<Nvml.DevicePair>("nvmlDeviceGetCudaComputeCapability") is { } read && read(device, out var major, out var minor) == Nvml.Success
            ? string.Create(CultureInfo.InvariantCulture, $"{major}.{minor}")
            : "";

    private ImmutableArray<Accelerator> Instances(nint device, Accelerator card)
    {
        var mode = nvml.Function<Nvml.DevicePair>("nvmlDeviceGetMigMode");
        if (mode is null || mode(device, out var current, out _) != Nvml.Success || current == 0) return [];
        var byIndex = nvml.Function<Nvml.InstanceByIndex>("nvmlDeviceGetMigDeviceHandleByIndex");
        var most = nvml.Number("nvmlDeviceGetMaxMigDeviceCount", device) ?? 0;
        var found = ImmutableArray.CreateBuilder<Accelerator>();
        // Numbers of instances may have gaps.
        for (var index = 0u; byIndex is not null && index < most; index++)
            if (byIndex(device, index, out var instance) == Nvml.Success) found.Add(Describe((int)index, instance, card));
        return found.ToImmutable();
    }

    private int? Links(nint device)
    {
        if (nvml.Function<Nvml.DeviceLink>("nvmlDeviceGetNvLinkState") is not { } state) return null;
        var active = 0;
        for (var link = 0u; link < MostLinks; link++)
            if (state(device, link, out var up) == Nvml.Success && up == 1) active++;
        return active;
    }

    private ImmutableArray<GpuProcess> Processes(nint device) =>
        [.. Processes(device, "Compute").Concat(Processes(device, "Graphics")).DistinctBy(process => process.Id).OrderByDescending(process => process.Bytes)];

    private IEnumerable<GpuProcess> Processes(nint device, string kind)
    {
        var read = nvml.Function<Nvml.DeviceProcesses>($"nvmlDeviceGet{kind}RunningProcesses_v3") ?? nvml.Function<Nvml.DeviceProcesses>($"nvmlDeviceGet{kind}RunningProcesses_v2");
        var count = 0u;
        if (read is null || read(device, ref count, null) is not (Nvml.Success or Nvml.InsufficientSize) || count == 0) return [];
        // Room for some that start between the two calls.
        var list = new Nvml.Process[Math.Min(count + 8, MostProcesses)];
        count = (uint)list.Length;
        if (read(device, ref count, list) != Nvml.Success) return [];
        return list.Take((int)Math.Min(count, (uint)list.Length)).Select(entry =>
            new GpuProcess((int)entry.Id, tree.ProcessName((int)entry.Id), entry.UsedMemory == ulong.MaxValue ? null : (long)entry.UsedMemory));
    }
}
