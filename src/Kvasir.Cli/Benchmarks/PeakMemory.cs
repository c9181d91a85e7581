using System.Diagnostics;
using System.Globalization;

namespace Kvasir.Cli.Benchmarks;

/// <summary>
/// The most resident memory of this process, in bytes, without what measuring itself takes. On Linux the kernel's
/// high-water mark (VmHWM in proc(5)) is read, and set back by writing 5 to <c>clear_refs</c>.
/// </summary>
internal sealed class PeakMemory
{
    private const string Status = "/proc/self/status", ClearReferences = "/proc/self/clear_refs";
    private long highest;

    /// <summary>The most so far.</summary>
    public long Bytes => Math.Max(highest, Now());

    /// <summary>Runs something whose memory does not count, where the system's mark can be set back.</summary>
    public T Without<T>(Func<T> measure)
    {
        highest = Bytes;
        var result = measure();
        try
        {
            if (OperatingSystem.IsLinux()) File.WriteAllText(ClearReferences, "5");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The mark stays: the peak then includes what was measured, which is the larger and so the safer figure.
        }
        return result;
    }

    private static long Now()
    {
        if (File.Exists(Status) && File.ReadLines(Status).FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal)) is { } line)
            return long.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10;
        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }
}
