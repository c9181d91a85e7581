using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kvasir.Kernels;

/// <summary>AVX2: |w| as unsigned times x with w's sign, pairs to 16 bits (at most 2·128·127, no saturation), pairs of those to 32.</summary>
internal readonly unsafe struct Avx2Dot : IBlockDot
{
    public static string Name => "avx2";

    public static void Dot(sbyte* tile, sbyte* x, int vectors, int* sums)
    {
        var ones = Vector256.Create((short)1);
        for (var lane = 0; lane < 64; lane += 32)
        {
            var sum = Vector256<int>.Zero;
            for (var v = 0; v < vectors; v++)
            {
                var w = Vector256.Load(tile + 64 * v + lane);
                var signed = Avx2.Sign(Vector256.Create(((int*)x)[v]).AsSByte(), w);
                sum += Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(Avx2.Abs(w), signed), ones);
            }

            sum.Store(sums + lane / 4);
        }
    }
}
