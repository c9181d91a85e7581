using System.Globalization;

namespace Kvasir.Engine;

/// <summary>How much memory this process may use: what the machine and its control groups can spare.</summary>
public static class MemoryBudget
{
    /// <summary>What the .NET runtime, code and short-lived objects take beside the ledger.</summary>
    public const long RuntimeBytes = 200L << 20;

    private const string ControlGroups = "/sys/fs/cgroup";

    /// <summary>Bytes the machine can spare now: the smaller of available memory and what the control groups leave.</summary>
    public static long AvailableBytes() => Math.Min(MachineBytes(), ControlGroupBytes());

    /// <summary>
    /// The ledger's budget: the bound on the whole process less the runtime, or without a bound what can be spared less
    /// the runtime and a tenth, so that the machine's other work has room.
    /// </summary>
    /// <param name="limitBytes">Bound on the whole process, or null.</param>
    public static long LedgerBytes(long? limitBytes) => limitBytes is { } limit
        ? Math.Max(0, limit - RuntimeBytes)
        : Math.Max(0, AvailableBytes() / 10 * 9 - RuntimeBytes);

    private static long MachineBytes()
    {
        // The collector's figure is total memory within the container's limit; Linux also says how much of it is in use.
        var total = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (!File.Exists("/proc/meminfo")) return total;
        var line = File.ReadLines("/proc/meminfo").FirstOrDefault(text => text.StartsWith("MemAvailable:", StringComparison.Ordinal));
        return line is not null && long.TryParse(line.AsSpan(13).Trim().TrimEnd("kB").Trim(), CultureInfo.InvariantCulture, out var kib)
            ? kib << 10
            : total;
    }

    /// <summary>What the control groups (version 2 or 1) leave; unlimited where there is no limit.</summary>
    private static long ControlGroupBytes()
    {
        var left = long.MaxValue;
        foreach (var (limit, usage) in (ReadOnlySpan<(string, string)>)[("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")])
            if (Number(limit) is { } most && Number(usage) is { } used) left = Math.Min(left, Math.Max(0, most - used));
        return left;
    }

    private static long? Number(string file)
    {
        try
        {
            var path = Path.Combine(ControlGroups, file);
            return File.Exists(path) && long.TryParse(File.ReadAllText(path).Trim(), CultureInfo.InvariantCulture, out var value) ? value : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
