using System.Runtime.Intrinsics.X86;

namespace Kvasir.Kernels.Generated;

/// <summary>256-bit kernels: F16 conversion, and AVX-VNNI where it is.</summary>
internal sealed class Generated256(ByteProducts products) : GeneratedKernels
{
    public const string StrategyName = "avx2-generated";

    public override string Name => StrategyName;

    public override int MaxTokens => Frame256.MaxTokens;

    protected override int MostTokensOfPairs => FloatKernel256.MostTokensOfPairs;

    /// <summary>Why the strategy cannot run here; null when it can.</summary>
    public static string? Obstacle()
    {
        if (!Avx2.IsSupported || !Fma.IsSupported) return "no AVX2 on this processor, or not enabled";
        if ((X86Base.CpuId(1, 0).Ecx & 1 << 29) == 0) return "no F16 conversion on this processor";
        return ExecutableMemory.IsAllowed ? null : "the system does not let this process execute code it has written";
    }

    /// <summary>The best byte products of this processor in 256 bits.</summary>
    public static ByteProducts Detect() => AvxVnni.IsSupported ? ByteProducts.Vnni : ByteProducts.Pairs;

    protected override KernelFrame WriteFloat(WeightFormat format, int tokens, Variant variant) =>
        new FloatKernel256(format, tokens, variant == Variant.Pairs ? 2 : 1, variant == Variant.Adding);

    protected override KernelFrame WriteQuantized(PackedForm form, int tokens) => new QuantizedKernel256(form, tokens, products);

    public override KernelFrame WriteListed(PackedForm form, int tokens) => new QuantizedKernel256(form, tokens, products, listed: true);

    public override KernelFrame? WriteKeys(KvFormat format, int rows, int blocks) => rows * blocks <= MaxTokens ? new KeyKernel256(format, rows, blocks) : null;

    // Groups of 32 values share their scales, so these go together even where they do not fit together.
    public override KernelFrame? WriteValues(KvFormat format, int rows, int groups) =>
        rows * groups <= MaxTokens ? new ValueKernel256(format, rows, groups, groups)
        : groups == 2 ? new ValueKernel256(format, rows, groups, 1)
        : null;
}
