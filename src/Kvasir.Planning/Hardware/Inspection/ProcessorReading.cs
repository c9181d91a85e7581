using System.Runtime.InteropServices;

namespace Kvasir.Planning.Hardware.Inspection;

/// <summary>Reads the processor's name and what of it this process may use.</summary>
public static class ProcessorReading
{
    /// <summary>The processor, as /proc/cpuinfo or macOS calls it.</summary>
    public static Processor Read(SystemTree tree, MacSystem mac) =>
        new(Name(tree) ?? mac.Text("machdep.cpu.brand_string") ?? $"{RuntimeInformation.ProcessArchitecture} processor", Environment.ProcessorCount, HostMemoryReading.ProcessorQuota(tree));

    private static string? Name(SystemTree tree)
    {
        var fields = tree.Lines("proc/cpuinfo").Select(line => line.Split(':', 2, StringSplitOptions.TrimEntries)).Where(parts => parts.Length == 2).ToArray();
        // ARM has no model name; the device tree names the board.
        return fields.FirstOrDefault(parts => parts[0] == "model name")?[1] ?? tree.Text("proc/device-tree/model")?.TrimEnd('\0');
    }
}
