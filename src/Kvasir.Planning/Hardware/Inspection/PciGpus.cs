using System.Collections.Immutable;
using System.Globalization;

namespace Kvasir.Planning.Hardware.Inspection;

/// <summary>AMD's and Intel's GPUs as Linux's graphics drivers show them in sysfs: no toolkit, no library.</summary>
public static class PciGpus
{
    private const long Amd = 0x1002;
    private const long Intel = 0x8086;
    // Less memory of its own than this is the aperture of a GPU that lives in the host's memory.
    private const long LeastDedicated = 1L << 30;

    /// <summary>The GPUs under /sys/class/drm, in the kernel's order.</summary>
    public static IEnumerable<Accelerator> Read(SystemTree tree)
    {
        var hostBytes = HostMemoryReading.Read(tree)?.TotalBytes ?? 0;
        var nodes = KfdNode.ReadAll(tree);
        var index = 0;
        foreach (var card in tree.Names("sys/class/drm", "card*").Where(name => name.AsSpan(4).IndexOfAnyExceptInRange('0', '9') < 0))
        {
            var device = $"sys/class/drm/{card}/device";
            var found = tree.Number($"{device}/vendor") switch
            {
                Amd => ReadAmd(tree, device, index, hostBytes, nodes),
                Intel => ReadIntel(tree, $"sys/class/drm/{card}", index, hostBytes),
                _ => null,
            };
            if (found is null) continue;
            index++;
            yield return found;
        }
    }

    private static Accelerator? ReadAmd(SystemTree tree, string device, int index, long hostBytes, ImmutableArray<KfdNode> nodes)
    {
        if (tree.Number($"{device}/mem_info_vram_total") is not { } vram) return null;
        var node = nodes.FirstOrDefault(candidate => candidate.UniqueId is not null && candidate.UniqueId == UniqueId(tree.Text($"{device}/unique_id")))
            ?? nodes.FirstOrDefault(candidate => candidate.Minor is { } minor && tree.Exists($"{device}/drm/renderD{minor}"));
        var target = node?.Target ?? "";
        var shared = PciNames.IsAmdIntegrated(target) || vram < LeastDedicated;
        // An integrated GPU uses its carved-out part and, through the translation table, the host's memory up to a limit.
        var total = shared ? vram + (tree.Number($"{device}/mem_info_gtt_total") ?? 0) : vram;
        var used = shared ? tree.Number($"{device}/mem_info_vram_used") + (tree.Number($"{device}/mem_info_gtt_used") ?? 0) : tree.Number($"{device}/mem_info_vram_used");
        var name = tree.Text($"{device}/product_name") is { Length: > 0 } product ? product : PciNames.Amd(tree.Number($"{device}/device"), target);
        return new Accelerator
        {
            Index = index, DriverName = name, Source = "sysfs", TotalBytes = total, UsedBytes = used, SharedMemory = shared,
            Uuid = tree.Text($"{device}/unique_id") is { Length: > 0 } id ? $"GPU-{id}" : null,
            Kind = Kind(name, "AMD", target, total, shared, hostBytes),
            Processes = node is null ? [] : KfdNode.Processes(tree, node),
        };
    }

    private static Accelerator? ReadIntel(SystemTree tree, string card, int index, long hostBytes)
    {
        if (tree.LinkName($"{card}/device/driver") is not ("i915" or "xe")) return null;
        var own = tree.Number($"{card}/lmem_total_bytes") ?? LargestBar(tree, $"{card}/device/resource");
        var shared = own < LeastDedicated;
        var total = shared ? hostBytes / 2 : own;
        var name = PciNames.Intel(tree.Number($"{card}/device/device"), shared);
        return new Accelerator
        {
            Index = index, DriverName = name, Source = "sysfs", TotalBytes = total, SharedMemory = shared,
            UsedBytes = tree.Number($"{card}/lmem_avail_bytes") is { } free && !shared ? total - free : null,
            Kind = Kind(name, "Intel", "", total, shared, hostBytes),
        };
    }

    private static Gpu Kind(string name, string vendor, string target, long total, bool shared, long hostBytes)
    {
        if (GpuCatalogue.TryFind(name) is { } known && Near(known.Unified ? hostBytes : total, known)) return known.Unified ? known.HoldingExactly(total) : known;
        return new Gpu
        {
            Id = $"{vendor.ToLowerInvariant()}-unlisted", Name = name, Vendor = vendor, ComputeCapability = target, Unified = shared,
            Bytes = total, LowBytes = total, HighBytes = total, ToolBytes = total, Evidence = CapacityEvidence.Given,
        };
    }

    // A name may stand for cards of several sizes; the catalogue's entry counts where the size is about its own.
    private static bool Near(long total, Gpu known) => known.Unified || Math.Abs((total / (double)(known.ToolBytes ?? known.Bytes)) - 1) < 0.1;

    /// <summary>The largest window of memory that the card offers on the bus: all of its memory where the bus allows it.</summary>
    private static long LargestBar(SystemTree tree, string resource)
    {
        var largest = 0L;
        foreach (var line in tree.Lines(resource))
        {
            var fields = line.Split(' ');
            if (fields.Length < 2 || !Hex(fields[0], out var start) || !Hex(fields[1], out var end) || end <= start) continue;
            largest = Math.Max(largest, end - start + 1);
        }
        return largest;
    }

    private static bool Hex(string text, out long value) => long.TryParse(text.StartsWith("0x", StringComparison.Ordinal) ? text.AsSpan(2) : text, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out value);

    private static ulong? UniqueId(string? hex) => ulong.TryParse(hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var id) ? id : null;
}
