using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>Measures what memory gives, the limit of decoding one sequence.</summary>
public static unsafe class MemoryProbe
{
    private const long ChunkBytes = 256 << 10;

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
                a ^= Vector512.Load((long*)(start + at)) ^ Vector512.Load((long*)(start + at + 64));
                b ^= Vector512.Load((long*)(start + ChunkBytes / 2 + at)) ^ Vector512.Load((long*)(start + ChunkBytes / 2 + at + 64));
            }

            sum ^= a ^ b;
        }

        return Vector512.Sum(sum);
    }
}
