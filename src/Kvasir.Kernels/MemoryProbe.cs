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
            for (var at = 0L; at < ChunkBytes; at += 256)
            {
                a ^= Vector512.Load((long*)(start + at)) ^ Vector512.Load((long*)(start + at + 64));
                b ^= Vector512.Load((long*)(start + at + 128)) ^ Vector512.Load((long*)(start + at + 192));
            }

            sum ^= a ^ b;
        }

        return Vector512.Sum(sum);
    }
}
