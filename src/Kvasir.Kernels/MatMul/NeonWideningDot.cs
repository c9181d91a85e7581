using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;

namespace Kvasir.Kernels;

/// <summary>Arm without the dot product: products widened to 16 bits, then added in pairs, twice.</summary>
internal readonly unsafe struct NeonWideningDot : IBlockDot
{
    public static string Name => "neon";

    public static void Dot(sbyte* tile, sbyte* x, int vectors, int* sums)
    {
        for (var lane = 0; lane < 64; lane += 16)
        {
            var sum = Vector128<int>.Zero;
            for (var v = 0; v < vectors; v++)
            {
                var w = Vector128.Load(tile + 64 * v + lane);
                var broadcast = Vector128.Create(((int*)x)[v]).AsSByte();
                var low = AdvSimd.AddPairwiseWidening(AdvSimd.MultiplyWideningLower(w.GetLower(), broadcast.GetLower()));
                var high = AdvSimd.AddPairwiseWidening(AdvSimd.MultiplyWideningUpper(w, broadcast));
                sum += AdvSimd.Arm64.AddPairwise(low, high);
            }

            sum.Store(sums + lane / 4);
        }
    }
}
