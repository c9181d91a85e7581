using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>
/// The orthonormal Walsh-Hadamard rotation of a head, which is its own inverse. A few large numbers, which would spoil the
/// scale of all that share it, become many of ordinary size; products of rotated queries and keys are those of the
/// original ones, and sums of rotated values are rotated back.
/// </summary>
internal static unsafe class Hadamard
{
    /// <summary>Most numbers that are mixed.</summary>
    public const int MostMixed = 256;

    /// <summary>Numbers of a head that are mixed with each other: the largest power of two that divides its size.</summary>
    public static int Mixed(int size) => Math.Min(MostMixed, size & -size);

    /// <summary>Rotates in place.</summary>
    /// <param name="x">Numbers.</param>
    /// <param name="count">How many, a multiple of <paramref name="mixed"/>.</param>
    /// <param name="mixed">How many are mixed with each other, a power of two.</param>
    public static void Rotate(float* x, int count, int mixed)
    {
        var scale = 1 / MathF.Sqrt(mixed);
        for (var end = x + count; x < end; x += mixed)
        {
            var span = 1;
            if (mixed >= 8)
            {
                for (var i = 0; i < mixed; i += 8) Eight(Vector256.Load(x + i)).Store(x + i);
                for (span = 8; span < mixed; span *= 2)
                    for (var first = 0; first < mixed; first += 2 * span)
                        for (var i = first; i < first + span; i += 8)
                        {
                            var (a, b) = (Vector256.Load(x + i), Vector256.Load(x + i + span));
                            (a + b).Store(x + i);
                            (a - b).Store(x + i + span);
                        }
            }

            for (; span < mixed; span *= 2)
                for (var first = 0; first < mixed; first += 2 * span)
                    for (var i = first; i < first + span; i++) (x[i], x[i + span]) = (x[i] + x[i + span], x[i] - x[i + span]);
            for (var i = 0; i < mixed; i++) x[i] *= scale;
        }
    }

    private static Vector256<float> Eight(Vector256<float> x)
    {
        x = Vector256.Shuffle(x, Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6)) + x * Vector256.Create(1f, -1, 1, -1, 1, -1, 1, -1);
        x = Vector256.Shuffle(x, Vector256.Create(2, 3, 0, 1, 6, 7, 4, 5)) + x * Vector256.Create(1f, 1, -1, -1, 1, 1, -1, -1);
        return Vector256.Shuffle(x, Vector256.Create(4, 5, 6, 7, 0, 1, 2, 3)) + x * Vector256.Create(1f, 1, 1, 1, -1, -1, -1, -1);
    }
}
