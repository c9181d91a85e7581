using System.Runtime.Intrinsics.X86;

namespace Kvasir.Kernels.Generated;

/// <summary>512-bit VNNI, BF16 products, F16 conversion.</summary>
internal sealed unsafe class Generated512(bool hasBFloat16) : GeneratedKernels
{
    // Without a BF16 unit these widen with shifts.
    private readonly Generated256 _withoutBFloat16 = new(ByteProducts.Pairs);

    public const string StrategyName = "avx512-generated";

    public override string Name => StrategyName;

    public override int MaxTokens => Frame512.MaxTokens;

    protected override int MostTokensOfPairs => Frame512.MaxTokens;

    /// <summary>Why the strategy cannot run here; null when it can.</summary>
    public static string? Obstacle()
    {
        if (!Avx512BW.IsSupported || !Avx512Vbmi.IsSupported) return "no AVX-512 on this processor, or not enabled";
        if (!HasVnni()) return "no AVX-512 VNNI on this processor";
        return ExecutableMemory.IsAllowed ? null : "the system does not let this process execute code it has written";
    }

    /// <summary>Whether the processor has AVX-512's byte products (CPUID 7.0, ECX bit 11).</summary>
    public static bool HasVnni() => Avx512BW.VL.IsSupported && (X86Base.CpuId(7, 0).Ecx & 1 << 11) != 0;

    /// <summary>Whether the processor multiplies BF16 itself (CPUID 7.1, EAX bit 5).</summary>
    public static bool DetectBFloat16() => X86Base.CpuId(7, 0).Eax >= 1 && (X86Base.CpuId(7, 1).Eax & 1 << 5) != 0;

    public override ActivationForms FormFor(PackedForm form) =>
        form.Format == WeightFormat.BF16 && hasBFloat16 ? ActivationForms.BFloat16 : base.FormFor(form);

    public override void Warm(PackedForm form)
    {
        if (IsLeft(form)) _withoutBFloat16.Warm(form);
        else base.Warm(form);
    }

    public override void Multiply(PackedForm form, KernelArguments* arguments, int tokens)
    {
        if (!IsLeft(form))
        {
            base.Multiply(form, arguments, tokens);
            return;
        }

        while (tokens > 0)
        {
            var tile = MatrixProduct.Tile(tokens, _withoutBFloat16.MaxTokens);
            var part = *arguments;
            _withoutBFloat16.Multiply(form, &part, tile);
            arguments->X += tile * arguments->XStride;
            arguments->Output = (float*)((byte*)arguments->Output + tile * arguments->OutputStride);
            tokens -= tile;
        }
    }

    protected override KernelFrame WriteFloat(WeightFormat format, int tokens, Variant variant) =>
        new FloatKernel512(format, tokens, variant == Variant.Pairs ? 2 : 1, variant == Variant.Adding);

    protected override KernelFrame WriteQuantized(PackedForm form, int tokens) => new QuantizedKernel512(form, tokens);

    public override KernelFrame WriteListed(PackedForm form, int tokens) => new QuantizedKernel512(form, tokens, listed: true);

    public override KernelFrame? WriteKeys(KvFormat format, int rows, int blocks) => Fits(rows, blocks) ? new KeyKernel512(format, rows, blocks) : null;

    public override KernelFrame? WriteValues(KvFormat format, int rows, int groups) => Fits(rows, groups) ? new ValueKernel512(format, rows, groups) : null;

    private static bool Fits(int rows, int width) => width < 4 || rows <= KvFrame512.MostRowsOfFour;

    private bool IsLeft(PackedForm form) => form.Format == WeightFormat.BF16 && !hasBFloat16;
}
