using System.Globalization;
using Kvasir.Kernels;

namespace Kvasir.Cli.Benchmarks;

/// <summary>What memory gave.</summary>
/// <param name="BytesPerSecond">Read by all threads together.</param>
/// <param name="Bytes">Memory that was read.</param>
/// <param name="HugePageBytes">How much of it the system put in huge pages; null where it does not tell.</param>
internal sealed record BandwidthProbe(double BytesPerSecond, long Bytes, long? HugePageBytes);

/// <summary>What this machine's memory gives to reading threads: the limit of decoding one sequence.</summary>
internal static class ReadBandwidth
{
    /// <summary>Beyond most caches, and soon read.</summary>
    private const long Bytes = 256L << 20;
    private const int Rounds = 12;
    private const string Pages = "/proc/self/smaps_rollup", Huge = "AnonHugePages:";

    /// <summary>Bytes per second that <paramref name="threads"/> threads read together.</summary>
    public static double Measure(int threads) => Probe(threads).BytesPerSecond;

    /// <summary>The same, and whether huge pages were granted.</summary>
    public static BandwidthProbe Probe(int threads)
    {
        using var team = new WorkerTeam(threads);
        var before = HugePageBytes();
        using var memory = new NativeBuffer(Bytes);
        team.Run(worker => MemoryProbe.Touch(worker, memory.All));
        var granted = HugePageBytes() - before;
        return new BandwidthProbe(MemoryProbe.BytesPerSecond(team, memory.All, Rounds), Bytes, granted);
    }

    private static long? HugePageBytes()
    {
        try
        {
            var line = File.Exists(Pages) ? File.ReadLines(Pages).FirstOrDefault(text => text.StartsWith(Huge, StringComparison.Ordinal)) : null;
            return line is not null && long.TryParse(line.AsSpan(Huge.Length).TrimEnd("kB").Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var kib) ? kib << 10 : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
