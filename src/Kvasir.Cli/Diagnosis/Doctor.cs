using System.Globalization;
using System.Runtime.InteropServices;
using Kvasir.Checkpoints;
using Kvasir.Checkpoints.Remote;
using Kvasir.Cli.Benchmarks;
using Kvasir.Kernels;
using Kvasir.Planning.Hardware;
using Kvasir.Planning.Hardware.Inspection;

namespace Kvasir.Cli.Diagnosis;

/// <summary>Looks at everything that decides how well this machine serves, and says what would help.</summary>
/// <param name="tree">Linux's files.</param>
internal sealed class Doctor(SystemTree tree)
{
    private const long LittleMemory = 1L << 30, LittleDisk = 5L << 30;
    private const string HugePages = "sys/kernel/mm/transparent_hugepage/enabled";

    /// <summary>Everything that is found.</summary>
    /// <param name="machine">Its processor and memory.</param>
    /// <param name="cache">The folder for downloads.</param>
    /// <param name="demo">The demo model, or null where there is none.</param>
    public IEnumerable<Finding> Examine(Machine machine, string cache, string? demo)
    {
        yield return Runtime();
        yield return new Finding("processor", Verdict.Good, $"{machine.Processor.Name}: {string.Join(", ", ProcessorFeatures.Read().Where(feature => feature.Present).Select(feature => feature.Name))}");
        yield return Kernels();
        yield return Cores(machine.Processor) with { Value = machine.Processor.Threads };
        yield return Memory(machine.Memory) with { Value = machine.Memory.SpareBytes };
        var probe = ReadBandwidth.Probe(machine.Processor.Threads);
        yield return HugePage(tree.Text(HugePages), probe);
        yield return Bandwidth(probe, machine.Processor.Threads) with { Value = probe.BytesPerSecond };
        yield return Cache(cache);
        yield return Demo(demo);
    }

    /// <summary>.NET and the system under it.</summary>
    private static Finding Runtime() => new(".NET", Verdict.Good, $"{RuntimeInformation.FrameworkDescription} on {RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}");

    private static Finding Kernels()
    {
        try
        {
            var (name, usable) = (KernelCatalog.CurrentName, KernelCatalog.Strategies.Where(strategy => strategy.IsAvailable).ToArray());
            var chosen = usable.Single(strategy => strategy.Name == name);
            var text = $"{name} ({chosen.Reason})";
            if (name != usable[0].Name) return new Finding("kernels", Verdict.Improvable, $"{text}, because {KernelCatalog.Variable} says so", $"Unset {KernelCatalog.Variable} to use {usable[0].Name}.");
            var forbidden = KernelCatalog.Strategies.TakeWhile(strategy => strategy.Name != name).FirstOrDefault(strategy => strategy.Reason.Contains("system", StringComparison.Ordinal));
            return usable.Length == 1
                ? new Finding("kernels", Verdict.Improvable, text, "Run on a processor with AVX2 or NEON, and look whether DOTNET_EnableAVX2 or DOTNET_EnableHWIntrinsic is set to 0: this is many times slower.")
                : forbidden is not null
                    ? new Finding("kernels", Verdict.Improvable, $"{text}; {forbidden.Name} would be faster, but {forbidden.Reason}", "Allow it: SELinux has execmem for that, systemd MemoryDenyWriteExecute=no.")
                    : new Finding("kernels", Verdict.Good, text);
        }
        catch (PlatformNotSupportedException error)
        {
            return new Finding("kernels", Verdict.Broken, error.Message.TrimEnd('.'), $"Unset {KernelCatalog.Variable}.");
        }
    }

    /// <summary>Threads that compute.</summary>
    internal static Finding Cores(Processor processor)
    {
        var text = $"{processor.Threads} threads";
        return processor.Quota is { } quota && quota < processor.Threads
            ? new Finding("cores", Verdict.Improvable, Text($"{text}, but control groups allow the time of {quota:0.##}"), Text($"Start with --threads {Math.Max(1, (int)quota)}, or raise the quota: threads that are stopped in the middle of a step hold up the others."))
            : new Finding("cores", Verdict.Good, $"{text}, no quota");
    }

    /// <summary>Memory that a model may take.</summary>
    internal static Finding Memory(HostMemory memory)
    {
        var limit = memory.LimitBytes is { } bytes ? $"; limited to {new ByteSize(bytes)} by {memory.LimitFrom}" : "; no limit by control groups";
        var text = $"{new ByteSize(memory.SpareBytes)} can be taken now, of {new ByteSize(memory.TotalBytes)}{limit}";
        return memory.SpareBytes < LittleMemory
            ? new Finding("memory", Verdict.Improvable, text, memory.LimitBytes is null ? "Stop other programs; small models need about 1 GiB." : $"Raise {memory.LimitFrom}; small models need about 1 GiB.")
            : new Finding("memory", Verdict.Good, text);
    }

    /// <summary>Whether weights lie in pages of 2 MiB.</summary>
    internal static Finding HugePage(string? setting, BandwidthProbe probe)
    {
        const string subject = "huge pages", allow = "echo madvise | sudo tee /" + HugePages;
        if (setting is null) return new Finding(subject, Verdict.Good, "not told by this system");
        var granted = probe.HugePageBytes is { } huge ? Text($"{huge / (double)probe.Bytes:0 %} of {new ByteSize(probe.Bytes)} granted") : "not known whether granted";
        if (setting.Contains("[never]", StringComparison.Ordinal)) return new Finding(subject, Verdict.Improvable, "off (transparent_hugepage is never)", $"{allow} : reading weights is faster with them.");
        return probe.HugePageBytes < probe.Bytes / 2
            ? new Finding(subject, Verdict.Improvable, $"allowed, but only {granted}", "Memory is fragmented: free the page cache or compact it (echo 1 | sudo tee /proc/sys/vm/compact_memory) before starting.")
            : new Finding(subject, Verdict.Good, $"allowed, {granted}");
    }

    private static Finding Bandwidth(BandwidthProbe probe, int threads) => new("bandwidth", Verdict.Good,
        Text($"{probe.BytesPerSecond / 1e9:0.0} GB/s read by {threads} threads: a model of 1 GB gives at most {probe.BytesPerSecond / 1e9:0} tokens/s to one user"));

    /// <summary>Where downloads go.</summary>
    internal static Finding Cache(string folder)
    {
        const string subject = "cache folder", remedy = "Name another with " + CacheFolder.Variable + ".";
        // The folder is made with the first download; until then the one that will hold it is tried.
        var nearest = Path.GetFullPath(folder);
        while (!Path.Exists(nearest) && Path.GetDirectoryName(nearest) is { } parent) nearest = parent;
        try
        {
            var trial = Path.Combine(nearest, Path.GetRandomFileName());
            using (File.Create(trial, 1, FileOptions.DeleteOnClose))
            {
                // That it can be made is all that is asked.
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new Finding(subject, Verdict.Improvable, $"{folder} cannot be written: {error.Message.TrimEnd('.')}", remedy);
        }
        var free = DiskReading.Space(nearest)?.Free;
        var text = free is { } bytes ? $"{folder}, {new ByteSize(bytes)} free" : folder;
        return free < LittleDisk ? new Finding(subject, Verdict.Improvable, text, $"Most models are larger. {remedy}") : new Finding(subject, Verdict.Good, text);
    }

    /// <summary>The model that is used where none is named.</summary>
    internal static Finding Demo(string? path)
    {
        const string subject = "demo model", remedy = "Name a model: kvasir serve model.gguf";
        return path is null ? new Finding(subject, Verdict.Improvable, "not found", remedy)
            : Path.Exists(path) ? new Finding(subject, Verdict.Good, path)
            : new Finding(subject, Verdict.Improvable, $"{path} does not exist", $"Unset {DemoModel.Variable}, or mend it.");
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
