using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Planning.Hardware;

namespace Kvasir.Cli.Rendering;

/// <summary>A machine as a page of text.</summary>
public static class MachineText
{
    private const int MostProcesses = 8;

    /// <summary>Writes the page.</summary>
    public static void Write(Machine machine, TextWriter output)
    {
        foreach (var card in machine.Accelerators) Write(card, "GPU", output);
        if (machine.Accelerators.IsEmpty) output.WriteLine("GPU     none found (no NVIDIA driver; no AMD, Intel or Apple GPU that the system shows): plans are for the CPU");
        foreach (var driver in machine.Drivers) output.WriteLine($"Driver  {driver}");
        var memory = machine.Memory;
        output.WriteLine($"Memory  {Size(memory.TotalBytes)}, {Size(memory.AvailableBytes)} available");
        if (memory.LimitBytes is { } limit) output.WriteLine($"        limited to {Size(limit)} by {memory.LimitFrom}, {Size(memory.LimitUsedBytes ?? 0)} of it in use");
        output.WriteLine($"        {Size(memory.SpareBytes)} can be taken now");
        var quota = machine.Processor.Quota is { } share ? string.Create(CultureInfo.InvariantCulture, $", limited to the time of {share:0.##}") : "";
        output.WriteLine($"CPU     {machine.Processor.Name}, {machine.Processor.Threads} threads{quota}");
        foreach (var disk in machine.Disks)
            output.WriteLine($"Disk    {disk.MountPoint}: {Size(disk.FreeBytes)} free of {Size(disk.TotalBytes)} ({disk.FileSystem}{(disk.Rotating switch { true => ", spinning", false => ", solid state", null => "" })})");
        foreach (var remark in machine.Remarks) output.WriteLine(remark);
    }

    private static void Write(Accelerator card, string word, TextWriter output)
    {
        var use = card.UsedBytes is { } used ? $", {Size(used)} used, {Size(card.FreeBytes ?? 0)} free" : "";
        output.WriteLine($"{$"{word} {card.Index}",-7} {card.DriverName}: {Size(card.TotalBytes)}{(card.SharedMemory ? " shared with the CPU" : "")}{use} ({card.Source})");
        output.WriteLine($"        {Kind(card)}");
        foreach (var process in card.Processes.Take(MostProcesses))
            output.WriteLine($"        {(process.Bytes is { } bytes ? Size(bytes) : "?")} held by {process.Name ?? "a process that cannot be seen from here"} (pid {process.Id})");
        if (card.Processes.Length > MostProcesses) output.WriteLine($"        and {card.Processes.Length - MostProcesses} processes more");
        foreach (var instance in card.Instances) Write(instance, "  MIG", output);
    }

    private static string Kind(Accelerator card)
    {
        var kind = card.Kind;
        List<string> facts = [kind.Bandwidth is null ? $"not in the catalogue; engines see about {Size(kind.Bytes)}" : $"planned as {kind.Name}: engines see {Size(kind.Bytes)}"];
        if (kind.ComputeCapability.Length > 0) facts.Add(kind.CudaCapability > 0 ? $"compute capability {kind.ComputeCapability}" : kind.ComputeCapability);
        if (kind.Bandwidth is { } bandwidth) facts.Add(string.Create(CultureInfo.InvariantCulture, $"{bandwidth / 1e9:0} GB/s"));
        if (kind.OperationsPerSecond.TryGetValue("bf16", out var flops)) facts.Add(string.Create(CultureInfo.InvariantCulture, $"{flops / 1e12:0.#} TFLOP/s {(kind.Bf16 ? "bf16" : "fp16")}"));
        if (card.ActiveLinks is { } links and > 0) facts.Add($"{links} NVLinks up");
        return string.Join("; ", facts);
    }

    private static string Size(long bytes) => new ByteSize(bytes).ToString();
}
