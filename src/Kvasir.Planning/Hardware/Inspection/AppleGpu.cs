namespace Kvasir.Planning.Hardware.Inspection;

/// <summary>The GPU of an Apple chip: it shares the machine's memory up to a limit that can be raised.</summary>
public static class AppleGpu
{
    /// <summary>The machine's GPU; none on other machines.</summary>
    public static IEnumerable<Accelerator> Read(MacSystem mac)
    {
        if (mac.Text("machdep.cpu.brand_string") is not { } chip || !chip.StartsWith("Apple", StringComparison.Ordinal)) yield break;
        if (Memory(mac) is not { } memory) yield break;
        var gigabytes = memory.TotalBytes >> 30;
        var kind = GpuCatalogue.TryFind($"{chip} {gigabytes}GB") ?? Unlisted(chip, memory.TotalBytes);
        // 0, the default, leaves the share to Metal.
        if (mac.Number("iogpu.wired_limit_mb") is { } limit and > 0) kind = kind.HoldingExactly(limit << 20);
        yield return new Accelerator
        {
            Index = 0, DriverName = chip, Kind = kind, Source = "sysctl", SharedMemory = true,
            TotalBytes = kind.Bytes, UsedBytes = Math.Max(0, kind.Bytes - memory.AvailableBytes),
        };
    }

    /// <summary>The machine's memory; null on other machines.</summary>
    public static HostMemory? Memory(MacSystem mac)
    {
        if (mac.Number("hw.memsize") is not { } total) return null;
        // The share of memory, in percent, that the kernel could free without hurting anybody.
        var percent = mac.Number("kern.memorystatus_level") ?? 100;
        return new HostMemory(total, total / 100 * Math.Clamp(percent, 0, 100));
    }

    private static Gpu Unlisted(string chip, long total) => new()
    {
        Id = "apple", Name = chip, Vendor = "Apple", Architecture = "Apple GPU", ComputeCapability = "metal", Unified = true,
        Bytes = total / 4 * 3, LowBytes = total / 3 * 2, HighBytes = total / 5 * 4,
    };
}
