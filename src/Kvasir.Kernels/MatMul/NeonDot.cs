using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;

namespace Kvasir.Kernels;

/// <summary>Arm dot product (sdot): four signed products per lane and instruction, four rows per vector.</summary>
internal readonly unsafe struct NeonDot : IBlockDot
{
    public static string Name => "neon-dot";

    public static void Dot(sbyte* tile, sbyte* x, int vectors, int* sums)
    {
        for (var lane = 0; lane < 64; lane += 16)
        {
            var sum = Vector128<int>.Zero;
            for (var v = 0; v < vectors; v++)
                sum = Dp.DotProduct(sum, Vector128.Load(tile + 64 * v + lane), Vector128.Create(((int*)x)[v]).AsSByte());
            sum.Store(sums + lane / 4);
        }
    }
}
