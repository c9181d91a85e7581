using System.Diagnostics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kvasir.Kernels;

/// <summary>Measures what memory gives, the limit of decoding one sequence.</summary>
public static unsafe class MemoryProbe
{
    private const long ChunkBytes = 256 << 10;

    /// <summary>Bytes per second that the team reads from <paramref name="memory"/> at best, in <paramref name="rounds"/> tries.</summary>
    /// <param name="team">Who reads.</param>
    /// <param name="memory">Written before, so that it is backed by pages; several times larger than the caches.</param>
    /// <param name="rounds">Tries; the fastest counts.</param>
    public static double BytesPerSecond(WorkerTeam team, NativeSlice memory, int rounds)
    {
        var best = double.MaxValue;
        for (var round = 0; round < rounds; round++)
        {
            var start = Stopwatch.GetTimestamp();
            team.Run(worker => Read(worker, memory));
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return memory.Bytes / ChunkBytes * ChunkBytes / best;
    }

    /// <summary>Writes to every page of <paramref name="memory"/>, shared by the team: pages never written are all the same one, and read from the cache.</summary>
    public static void Touch(Worker worker, NativeSlice memory)
    {
        const int page = 4096;
        var loop = worker.Loop((int)(memory.Bytes / ChunkBytes));
        while (loop.TryNext(out var chunk))
            for (var at = 0L; at < ChunkBytes; at += page) memory.Start[chunk * ChunkBytes + at] = 1;
    }

    /// <summary>Reads all of <paramref name="memory"/> once, shared by the team, and returns a sum that keeps the reads alive.</summary>
    public static long Read(Worker worker, NativeSlice memory)
    {
        var sum = Vector512<long>.Zero;
        var loop = worker.Loop((int)(memory.Bytes / ChunkBytes));
        while (loop.TryNext(out var chunk))
        {
            var start = memory.Start + chunk * ChunkBytes;
            var (a, b) = (Vector512<long>.Zero, Vector512<long>.Zero);
            // Two streams at once: one alone does not keep a core's prefetchers busy.
            for (var at = 0L; at < ChunkBytes / 2; at += 128)
            {
                if (Sse.IsSupported) Prefetch(start + at);
                a ^= Vector512.Load((long*)(start + at)) ^ Vector512.Load((long*)(start + at + 64));
                b ^= Vector512.Load((long*)(start + ChunkBytes / 2 + at)) ^ Vector512.Load((long*)(start + ChunkBytes / 2 + at + 64));
            }

            sum ^= a ^ b;
        }

        return Vector512.Sum(sum);
    }

    // What the kernels do too: without, a core's window holds too few loads, and the limit would be beaten by the work.
    private static void Prefetch(byte* at)
    {
        const long near = 2048, far = 6144;
        for (var stream = 0L; stream < ChunkBytes; stream += ChunkBytes / 2)
        for (var line = 0L; line < 128; line += 64)
        {
            Sse.Prefetch0(at + stream + line + near);
            Sse.Prefetch1(at + stream + line + far);
        }
    }
}
