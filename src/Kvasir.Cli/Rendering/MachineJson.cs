using System.Text.Json;
using Kvasir.Planning.Hardware;

namespace Kvasir.Cli.Rendering;

/// <summary>A machine as JSON; sizes in bytes, rates per second (docs/reference/hardware-json.md).</summary>
public static class MachineJson
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The text.</summary>
    public static string Of(Machine machine) => JsonSerializer.Serialize(new
    {
        gpus = machine.Accelerators.Select(Of),
        drivers = machine.Drivers,
        memory = new
        {
            total_bytes = machine.Memory.TotalBytes, available_bytes = machine.Memory.AvailableBytes,
            limit_bytes = machine.Memory.LimitBytes, limit_used_bytes = machine.Memory.LimitUsedBytes, limit_from = machine.Memory.LimitFrom,
            spare_bytes = machine.Memory.SpareBytes,
        },
        cpu = new { name = machine.Processor.Name, threads = machine.Processor.Threads, quota = machine.Processor.Quota },
        disks = machine.Disks.Select(disk => new { mount = disk.MountPoint, file_system = disk.FileSystem, total_bytes = disk.TotalBytes, free_bytes = disk.FreeBytes, rotating = disk.Rotating }),
        plans_for = machine.Accelerators.IsEmpty ? "cpu" : "gpu",
        remarks = machine.Remarks,
    }, Indented);

    private static object Of(Accelerator card) => new
    {
        index = card.Index, name = card.DriverName, uuid = card.Uuid, source = card.Source, shared_memory = card.SharedMemory,
        total_bytes = card.TotalBytes, used_bytes = card.UsedBytes, free_bytes = card.FreeBytes, active_links = card.ActiveLinks,
        kind = new
        {
            id = card.Kind.Id, name = card.Kind.Name, vendor = card.Kind.Vendor, compute_capability = card.Kind.ComputeCapability,
            usable_bytes = card.Kind.Bytes, bandwidth_bytes_per_second = card.Kind.Bandwidth, operations_per_second = card.Kind.OperationsPerSecond,
        },
        processes = card.Processes.Select(process => new { pid = process.Id, name = process.Name, bytes = process.Bytes }),
        instances = card.Instances.Select(Of),
    };
}
