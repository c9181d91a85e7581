using System.Collections.Immutable;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Kvasir.Cli.Diagnosis;

/// <summary>The instruction sets that matter to the kernels.</summary>
internal static class ProcessorFeatures
{
    /// <summary>Each by its usual name, and whether this process may use it.</summary>
    public static ImmutableArray<(string Name, bool Present)> Read() => ArmBase.IsSupported
        ? [("NEON", AdvSimd.IsSupported), ("dot product", Dp.IsSupported)]
        :
        [
            ("AVX", Avx.IsSupported), ("AVX2", Avx2.IsSupported), ("FMA", Fma.IsSupported),
            ("F16C", Leaf(1, 0).Ecx.HasBit(29)), ("AVX-VNNI", AvxVnni.IsSupported), ("AVX-512", Avx512BW.IsSupported),
            ("AVX-512 VBMI", Avx512Vbmi.IsSupported), ("AVX-512 VNNI", Avx512BW.IsSupported && Leaf(7, 0).Ecx.HasBit(11)),
            ("AVX-512 BF16", Avx512BW.IsSupported && Leaf(7, 1).Eax.HasBit(5)),
        ];

    private static (int Eax, int Ecx) Leaf(int leaf, int part)
    {
        if (!X86Base.IsSupported || X86Base.CpuId(0, 0).Eax < leaf) return default;
        if (part > X86Base.CpuId(leaf, 0).Eax && leaf == 7) return default;
        var registers = X86Base.CpuId(leaf, part);
        return (registers.Eax, registers.Ecx);
    }

    private static bool HasBit(this int register, int bit) => (register >> bit & 1) != 0;
}
