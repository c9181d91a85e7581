using System.Collections.Immutable;

namespace Kvasir.Planning.Hardware;

/// <summary>What a machine holds: accelerators, memory, processor, disks. <see cref="Inspection.MachineInspector"/> reads the one it runs on.</summary>
public sealed record Machine
{
    /// <summary>GPUs in the drivers' order; empty without one.</summary>
    public ImmutableArray<Accelerator> Accelerators { get; init; } = [];
    /// <summary>Memory of the host.</summary>
    public required HostMemory Memory { get; init; }
    /// <summary>The processor.</summary>
    public required Processor Processor { get; init; }
    /// <summary>Mounted disks, the largest free space first.</summary>
    public ImmutableArray<Disk> Disks { get; init; } = [];
    /// <summary>Versions of drivers found: "NVIDIA driver 570.86".</summary>
    public ImmutableArray<string> Drivers { get; init; } = [];
    /// <summary>What could not be read, a sentence each.</summary>
    public ImmutableArray<string> Remarks { get; init; } = [];

    /// <summary>The devices that work can be planned for: instances in place of the cards that are cut, and the CPU where there is no GPU.</summary>
    public IEnumerable<Gpu> Devices => Accelerators.IsEmpty
        ? [Cpu]
        : Accelerators.SelectMany(card => card.Instances.IsEmpty ? [card.Kind] : card.Instances.Select(instance => instance.Kind));

    /// <summary>The host seen as a device: what memory it can spare now, at an unknown speed.</summary>
    public Gpu Cpu => new()
    {
        Id = "cpu", Name = Processor.Name, Architecture = "CPU", Unified = true, Evidence = CapacityEvidence.Given,
        Bytes = Memory.SpareBytes, LowBytes = Memory.SpareBytes, HighBytes = Memory.SpareBytes, ContextBytes = 0,
        Bf16 = false,
    };
}

/// <summary>One GPU of a machine, or one MIG instance of it.</summary>
public sealed record Accelerator
{
    /// <summary>The number that CUDA_VISIBLE_DEVICES and its like take; of an instance, its number on the card.</summary>
    public required int Index { get; init; }
    /// <summary>The driver's name for it.</summary>
    public required string DriverName { get; init; }
    /// <summary>The catalogue's entry, or one made of what the driver says.</summary>
    public required Gpu Kind { get; init; }
    /// <summary>What told of it: "NVML", "sysfs", "sysctl".</summary>
    public required string Source { get; init; }
    /// <summary>Unique name, "GPU-…", "MIG-…"; null where the driver gives none.</summary>
    public string? Uuid { get; init; }
    /// <summary>Bytes of memory as the driver's tool prints them; for shared memory, what the GPU may use of the host's.</summary>
    public required long TotalBytes { get; init; }
    /// <summary>Bytes in use by everybody; null where the driver does not say.</summary>
    public long? UsedBytes { get; init; }
    /// <summary>Memory is the host's.</summary>
    public bool SharedMemory { get; init; }
    /// <summary>Links to other GPUs that are up (NVLink); null where unknown.</summary>
    public int? ActiveLinks { get; init; }
    /// <summary>Processes that hold memory, the largest first.</summary>
    public ImmutableArray<GpuProcess> Processes { get; init; } = [];
    /// <summary>MIG instances; empty where the card is whole.</summary>
    public ImmutableArray<Accelerator> Instances { get; init; } = [];

    /// <summary>Bytes not in use; null where the driver does not say.</summary>
    public long? FreeBytes => TotalBytes - UsedBytes;
}

/// <summary>A process that holds memory of a GPU.</summary>
/// <param name="Id">Its number, the host's even inside a container.</param>
/// <param name="Name">Its name; null where it cannot be seen from here.</param>
/// <param name="Bytes">Bytes it holds; null where the driver does not say.</param>
public sealed record GpuProcess(int Id, string? Name, long? Bytes);

/// <summary>Memory of the host and what control groups leave of it, in bytes.</summary>
/// <param name="TotalBytes">Built in.</param>
/// <param name="AvailableBytes">What new work can take without swapping.</param>
/// <param name="LimitBytes">The tightest limit of this process's control groups; null without one.</param>
/// <param name="LimitUsedBytes">What counts against that limit and cannot be given back; null without a limit.</param>
/// <param name="LimitFrom">Where the limit stands, "/sys/fs/cgroup/memory.max"; null without one.</param>
public sealed record HostMemory(long TotalBytes, long AvailableBytes, long? LimitBytes = null, long? LimitUsedBytes = null, string? LimitFrom = null)
{
    /// <summary>Bytes that this process may still take: the smaller of what the machine and what the limit leave.</summary>
    public long SpareBytes => LimitBytes is { } limit ? Math.Clamp(limit - (LimitUsedBytes ?? 0), 0, AvailableBytes) : AvailableBytes;
}

/// <summary>The processor.</summary>
/// <param name="Name">Model name.</param>
/// <param name="Threads">Hardware threads that this process may use.</param>
/// <param name="Quota">Processors' worth of time that control groups allow; null without a limit.</param>
public sealed record Processor(string Name, int Threads, double? Quota = null);

/// <summary>A mounted disk.</summary>
/// <param name="MountPoint">Where it is mounted.</param>
/// <param name="FileSystem">"ext4", "nfs4".</param>
/// <param name="TotalBytes">Its size.</param>
/// <param name="FreeBytes">What this user can still write.</param>
/// <param name="Rotating">Whether it spins; null where unknown.</param>
public sealed record Disk(string MountPoint, string FileSystem, long TotalBytes, long FreeBytes, bool? Rotating = null);
