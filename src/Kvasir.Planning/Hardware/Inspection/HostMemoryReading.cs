using System.Globalization;

namespace Kvasir.Planning.Hardware.Inspection;

/// <summary>Reads the host's memory from /proc/meminfo and its limits from the control groups.</summary>
public static class HostMemoryReading
{
    // Control groups of version 1 print a limit near 2^63 where there is none.
    private const long NoLimit = 1L << 60;

    /// <summary>Memory of the machine; null where the tree holds no meminfo (not Linux).</summary>
    public static HostMemory? Read(SystemTree tree)
    {
        var fields = tree.Lines("proc/meminfo").Select(line => line.Split([':', ' '], StringSplitOptions.RemoveEmptyEntries))
            .Where(parts => parts.Length > 1).DistinctBy(parts => parts[0]).ToDictionary(parts => parts[0], parts => parts[1]);
        if (Bytes("MemTotal") is not { } total) return null;
        var available = Bytes("MemAvailable") ?? (Bytes("MemFree") ?? 0) + (Bytes("Cached") ?? 0);
        var tightest = Limits(tree).OrderBy(limit => limit.Limit - limit.Used).FirstOrDefault();
        return tightest.File is null || tightest.Limit >= total && tightest.Limit - tightest.Used >= available
            ? new HostMemory(total, available)
            : new HostMemory(total, available, tightest.Limit, tightest.Used, tightest.File);

        long? Bytes(string field) =>
            fields.TryGetValue(field, out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var kib) ? kib << 10 : null;
    }

    /// <summary>Processors' worth of time that control groups allow; null without a limit.</summary>
    public static double? ProcessorQuota(SystemTree tree)
    {
        var quotas = new List<double>();
        foreach (var folder in Folders(tree, "", "sys/fs/cgroup"))
            if (tree.Text($"{folder}/cpu.max")?.Split(' ') is [var quota, var period] && Ratio(quota, period) is { } share) quotas.Add(share);
        foreach (var folder in Folders(tree, "cpu", "sys/fs/cgroup/cpu").Concat(Folders(tree, "cpu", "sys/fs/cgroup/cpu,cpuacct")))
            if (Ratio(tree.Text($"{folder}/cpu.cfs_quota_us"), tree.Text($"{folder}/cpu.cfs_period_us")) is { } share) quotas.Add(share);
        return quotas.Count > 0 ? quotas.Min() : null;

        static double? Ratio(string? quota, string? period) =>
            double.TryParse(quota, NumberStyles.Float, CultureInfo.InvariantCulture, out var most) && most > 0
            && double.TryParse(period, NumberStyles.Float, CultureInfo.InvariantCulture, out var each) && each > 0 ? most / each : null;
    }

    private static IEnumerable<(string? File, long Limit, long Used)> Limits(SystemTree tree)
    {
        foreach (var folder in Folders(tree, "", "sys/fs/cgroup"))
            if (Limit(tree, folder, "memory.max", "memory.current", "inactive_file") is { } limit) yield return limit;
        foreach (var folder in Folders(tree, "memory", "sys/fs/cgroup/memory"))
            if (Limit(tree, folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file") is { } limit) yield return limit;
    }

    private static (string? File, long Limit, long Used)? Limit(SystemTree tree, string folder, string limit, string usage, string cache)
    {
        if (tree.Number($"{folder}/{limit}") is not { } most || most >= NoLimit) return null;
        // Cached files count as used but are dropped before the limit bites.
        var cached = tree.Lines($"{folder}/memory.stat").FirstOrDefault(line => line.StartsWith(cache + " ", StringComparison.Ordinal));
        var droppable = cached is not null && long.TryParse(cached.AsSpan(cache.Length), out var bytes) ? bytes : 0;
        return ($"/{folder}/{limit}", most, Math.Max(0, (tree.Number($"{folder}/{usage}") ?? 0) - droppable));
    }

    /// <summary>The folders of this process's group and of those around it, the innermost first.</summary>
    private static IEnumerable<string> Folders(SystemTree tree, string controller, string mount)
    {
        var line = tree.Lines("proc/self/cgroup").Select(text => text.Split(':', 3))
            .FirstOrDefault(parts => parts.Length == 3 && parts[1].Split(',').Contains(controller));
        // Inside a container the path may be the host's and not exist here; then the mount's root is the group.
        for (var path = line?[2].Trim('/') ?? ""; path.Length > 0; path = path.Contains('/') ? path[..path.LastIndexOf('/')] : "")
            if (!path.Contains("..") && tree.Exists($"{mount}/{path}")) yield return $"{mount}/{path}";
        if (tree.Exists(mount)) yield return mount;
    }
}
