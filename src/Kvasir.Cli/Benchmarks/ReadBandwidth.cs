using Kvasir.Kernels;

namespace Kvasir.Cli.Benchmarks;

/// <summary>What this machine's memory gives to reading threads: the limit of decoding one sequence.</summary>
internal static class ReadBandwidth
{
    /// <summary>Beyond most caches, and soon read.</summary>
    private const long Bytes = 256L << 20;
    private const int Rounds = 12;

    /// <summary>Bytes per second that <paramref name="threads"/> threads read together.</summary>
    public static double Measure(int threads)
    {
        using var team = new WorkerTeam(threads);
        using var memory = new NativeBuffer(Bytes);
        team.Run(worker => MemoryProbe.Touch(worker, memory.All));
        return MemoryProbe.BytesPerSecond(team, memory.All, Rounds);
    }
}
