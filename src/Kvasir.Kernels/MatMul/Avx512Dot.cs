using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kvasir.Kernels;

/// <summary>AVX-512BW without VNNI: as AVX2, all 16 rows at once; the sign is applied by selecting x or −x.</summary>
internal readonly unsafe struct Avx512Dot : IBlockDot
{
    public static string Name => "avx512bw";

    public static void Dot(sbyte* tile, sbyte* x, int vectors, int* sums)
    {
        var ones = Vector512.Create((short)1);
        var sum = Vector512<int>.Zero;
        for (var v = 0; v < vectors; v++)
        {
            var w = Vector512.Load(tile + 64 * v);
            var broadcast = Vector512.Create(((int*)x)[v]).AsSByte();
            var signed = Vector512.ConditionalSelect(Vector512.LessThan(w, Vector512<sbyte>.Zero), -broadcast, broadcast);
            sum += Avx512BW.MultiplyAddAdjacent(Avx512BW.MultiplyAddAdjacent(Avx512BW.Abs(w), signed), ones);
        }

        sum.Store(sums);
    }
}
