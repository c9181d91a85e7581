using System.Globalization;

namespace Kvasir.Planning.Hardware.Inspection;

/// <summary>Names of GPUs by what the bus or the driver says of them, for drivers that give no name (pci.ids, the kernel's tables).</summary>
internal static class PciNames
{
    private static readonly Dictionary<long, string> AmdDevices = new()
    {
        [0x74a0] = "Instinct MI300A", [0x74a1] = "Instinct MI300X", [0x74b5] = "Instinct MI300X", [0x74a5] = "Instinct MI325X", [0x75a0] = "Instinct MI350X", [0x75a3] = "Instinct MI355X",
        [0x740c] = "Instinct MI250X", [0x7408] = "Instinct MI250X", [0x740f] = "Instinct MI210", [0x744c] = "Radeon RX 7900 XTX", [0x7551] = "Radeon AI PRO R9700",
        [0x1586] = "Ryzen AI Max+ 395 (Strix Halo)",
    };

    private static readonly Dictionary<long, string> IntelDevices = new()
    {
        [0xe20b] = "Arc B580", [0xe20c] = "Arc B570", [0xe211] = "Arc Pro B60", [0x56a0] = "Arc A770 16GB", [0x56a1] = "Arc A750", [0x56c0] = "Data Center GPU Flex 170", [0x0bd5] = "Data Center GPU Max 1550",
    };

    // Targets of processors with a GPU: Raven and Renoir, Van Gogh, Rembrandt, Raphael, Phoenix, Strix, Strix Halo, Krackan.
    private static readonly HashSet<string> AmdIntegratedTargets = ["gfx902", "gfx909", "gfx90c", "gfx1033", "gfx1035", "gfx1036", "gfx1103", "gfx1150", "gfx1151", "gfx1152", "gfx1153"];

    public static bool IsAmdIntegrated(string target) => AmdIntegratedTargets.Contains(target);

    public static string Amd(long? device, string target) => device is { } id && AmdDevices.TryGetValue(id, out var name)
        ? name
        : target.Length > 0 ? $"AMD GPU {target}" : $"AMD GPU {Hex(device)}";

    public static string Intel(long? device, bool integrated) => device is { } id && IntelDevices.TryGetValue(id, out var name)
        ? name
        : $"Intel {(integrated ? "integrated " : "")}GPU {Hex(device)}";

    private static string Hex(long? device) => string.Create(CultureInfo.InvariantCulture, $"0x{device ?? 0:x4}");
}
