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
        var (low, high) = (Vector256<int>.Zero, Vector256<int>.Zero);
        for (var v = 0; v < vectors; v++, tile += 64)
        {
            var broadcast = Vector256.Create(((int*)x)[v]).AsSByte();
            var (a, b) = (Vector256.Load(tile), Vector256.Load(tile + 32));
            low += Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(Avx2.Abs(a), Avx2.Sign(broadcast, a)), ones);
            high += Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(Avx2.Abs(b), Avx2.Sign(broadcast, b)), ones);
        }

        low.Store(sums);
        high.Store(sums + 8);
    }
}
