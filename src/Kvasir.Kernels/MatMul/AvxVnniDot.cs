using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kvasir.Kernels;

/// <summary>AVX-VNNI: |w| as unsigned times x with w's sign, four products per lane and instruction.</summary>
internal readonly unsafe struct AvxVnniDot : IBlockDot
{
    public static string Name => "avx-vnni";

    public static void Dot(sbyte* tile, sbyte* x, int vectors, int* sums)
    {
        for (var lane = 0; lane < 64; lane += 32)
        {
            var sum = Vector256<int>.Zero;
            for (var v = 0; v < vectors; v++)
            {
                var w = Vector256.Load(tile + 64 * v + lane);
                var signed = Avx2.Sign(Vector256.Create(((int*)x)[v]).AsSByte(), w);
                sum = AvxVnni.MultiplyWideningAndAdd(sum, Avx2.Abs(w), signed);
            }

            sum.Store(sums + lane / 4);
        }
    }
}
