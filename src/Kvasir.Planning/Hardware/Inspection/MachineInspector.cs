using System.Collections.Immutable;

namespace Kvasir.Planning.Hardware.Inspection;

/// <summary>Finds out what this machine holds. No toolkit is needed, only drivers; without a driver there is no GPU.</summary>
public static class MachineInspector
{
    /// <summary>The machine this process runs on.</summary>
    public static Machine Inspect() => Inspect(new SystemTree(), MacSystem.Current, null, DiskReading.Space);

    /// <summary>The machine that these describe.</summary>
    /// <param name="tree">Linux's files.</param>
    /// <param name="mac">macOS's values.</param>
    /// <param name="nvml">File of NVIDIA's library, or null to look where drivers put it.</param>
    /// <param name="space">Total and free bytes at a mount point.</param>
    public static Machine Inspect(SystemTree tree, MacSystem mac, string? nvml, Func<string, (long Total, long Free)?> space)
    {
        var memory = HostMemoryReading.Read(tree) ?? AppleGpu.Memory(mac) ?? OfTheRuntime();
        var (drivers, remarks) = (ImmutableArray.CreateBuilder<string>(), ImmutableArray.CreateBuilder<string>());
        var accelerators = ImmutableArray.CreateBuilder<Accelerator>();
        using (var library = Nvml.Open(nvml, out var remark))
        {
            if (remark is not null) remarks.Add(remark);
            if (library?.DriverVersion() is { } version) drivers.Add($"NVIDIA driver {version}");
            if (library is not null) accelerators.AddRange(new NvidiaGpus(library, tree, memory.TotalBytes).Read());
        }
        accelerators.AddRange(PciGpus.Read(tree));
        accelerators.AddRange(AppleGpu.Read(mac));
        if (accelerators.Count == 0 && Jetson(tree, memory) is { } jetson) accelerators.Add(jetson);
        if (tree.Text("sys/module/amdgpu/version") is { Length: > 0 } amd) drivers.Add($"AMD driver {amd}");
        return new Machine
        {
            Accelerators = accelerators.ToImmutable(), Memory = memory, Processor = ProcessorReading.Read(tree, mac),
            Disks = DiskReading.Read(tree, space), Drivers = drivers.ToImmutable(), Remarks = remarks.ToImmutable(),
        };
    }

    /// <summary>NVIDIA's boards whose driver has no management library; the GPU uses the board's memory.</summary>
    private static Accelerator? Jetson(SystemTree tree, HostMemory memory)
    {
        var board = tree.Text("proc/device-tree/model")?.TrimEnd('\0');
        if (board is null || !board.Contains("Jetson", StringComparison.OrdinalIgnoreCase)) return null;
        var kind = new Gpu
        {
            Id = "jetson", Name = board, Vendor = "NVIDIA", Unified = true, Bytes = memory.TotalBytes, LowBytes = memory.AvailableBytes, HighBytes = memory.TotalBytes,
            Evidence = CapacityEvidence.Given,
        };
        return new Accelerator
        {
            Index = 0, DriverName = board, Kind = kind, Source = "device tree", SharedMemory = true, TotalBytes = memory.TotalBytes, UsedBytes = memory.TotalBytes - memory.AvailableBytes,
        };
    }

    private static HostMemory OfTheRuntime()
    {
        var collector = GC.GetGCMemoryInfo();
        return new HostMemory(collector.TotalAvailableMemoryBytes, Math.Max(0, collector.TotalAvailableMemoryBytes - collector.MemoryLoadBytes));
    }
}
