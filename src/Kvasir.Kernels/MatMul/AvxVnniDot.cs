using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kvasir.Kernels;

/// <summary>AVX-VNNI: |w| as unsigned times x with w's sign, four products per lane and instruction.</summary>
internal readonly unsafe struct AvxVnniDot : IBlockDot
{
    public static string Name => "avx-vnni";

    public static void Dot(sbyte* tile, sbyte* x, int vectors, int* sums)
    {
        var (low, high) = (Vector256<int>.Zero, Vector256<int>.Zero);
        for (var v = 0; v < vectors; v++, tile += 64)
        {
            var broadcast = Vector256.Create(((int*)x)[v]).AsSByte();
            var (a, b) = (Vector256.Load(tile), Vector256.Load(tile + 32));
            low = AvxVnni.MultiplyWideningAndAdd(low, Avx2.Abs(a), Avx2.Sign(broadcast, a));
            high = AvxVnni.MultiplyWideningAndAdd(high, Avx2.Abs(b), Avx2.Sign(broadcast, b));
        }

        low.Store(sums);
        high.Store(sums + 8);
    }
}
