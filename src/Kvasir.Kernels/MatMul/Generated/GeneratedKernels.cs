using System.Runtime.Intrinsics.X86;

namespace Kvasir.Kernels.Generated;

/// <summary>
/// Kernels written as machine code at start, for what .NET does not expose: 512-bit VNNI, BF16 products, F16
/// conversion. One per form and number of tokens, made when a matrix of that form is first described.
/// </summary>
internal sealed unsafe class GeneratedKernels(bool hasBFloat16) : MatrixKernels
{
    /// <summary>Calls whose weights are at most this large are too short to be worth letting the collector in.</summary>
    private const long ShortCallBytes = 16 << 10;

    private static readonly int FormatCount = (int)Enum.GetValues<WeightFormat>()[^1] + 1;

    // [format][variant · 13 + tokens]; variants: one group, two groups, one group adding.
    private readonly nint[]?[] _code = new nint[FormatCount][];
    private readonly Lock _lock = new();

    public const string StrategyName = "avx512-generated";

    public override string Name => StrategyName;

    public override int MaxTokens => KernelFrame.MaxTokens;

    /// <summary>Why the strategy cannot run here; null when it can.</summary>
    public static string? Obstacle()
    {
        if (!Avx512BW.IsSupported || !Avx512Vbmi.IsSupported) return "no AVX-512 on this processor, or not enabled";
        if ((X86Base.CpuId(7, 0).Ecx & 1 << 11) == 0) return "no AVX-512 VNNI on this processor";
        return ExecutableMemory.IsAllowed ? null : "the system does not let this process execute code it has written";
    }

    /// <summary>Whether the processor multiplies BF16 itself (CPUID 7.1, EAX bit 5).</summary>
    public static bool DetectBFloat16() => X86Base.CpuId(7, 0).Eax >= 1 && (X86Base.CpuId(7, 1).Eax & 1 << 5) != 0;

    public override ActivationForms FormFor(PackedForm form) =>
        form.Format == WeightFormat.BF16 && hasBFloat16 ? ActivationForms.BFloat16 : base.FormFor(form);

    public override void Warm(PackedForm form) => Code(form);

    public override void Multiply(PackedForm form, KernelArguments* arguments, int tokens)
    {
        if (form.Format == WeightFormat.BF16 && !hasBFloat16)
        {
            Fallback.Multiply(form, arguments, tokens);
            return;
        }

        var code = Code(form);
        if (!form.IsFloat || arguments->Groups == 1)
        {
            Call(code[tokens], arguments);
            return;
        }

        var groups = arguments->Groups;
        arguments->Groups = groups / 2;
        Call(code[KernelFrame.MaxTokens + 1 + tokens], arguments);
        if (groups % 2 == 0) return;
        arguments->Group += (groups - 1) * arguments->GroupBytes;
        arguments->Output = (float*)((byte*)arguments->Output + (groups - 1) * arguments->OutputGroupStride);
        arguments->Groups = 1;
        Call(code[tokens], arguments);
    }

    public override void MultiplyAdd(PackedForm form, KernelArguments* arguments, int tokens) =>
        Call(Code(form)[2 * (KernelFrame.MaxTokens + 1) + tokens], arguments);

    private static MatrixKernels Fallback { get; } = new PortableKernels<Avx512Dot>();

    private static void Call(nint code, KernelArguments* arguments)
    {
        if (arguments->Groups * arguments->GroupBytes <= ShortCallBytes)
            ((delegate* unmanaged[SuppressGCTransition]<KernelArguments*, void>)code)(arguments);
        else
            ((delegate* unmanaged<KernelArguments*, void>)code)(arguments);
    }

    private nint[] Code(PackedForm form) => Volatile.Read(ref _code[(int)form.Format]) ?? Generate(form);

    private nint[] Generate(PackedForm form)
    {
        lock (_lock)
        {
            if (_code[(int)form.Format] is { } made) return made;
            var kernels = new List<(int Slot, byte[] Code)>();
            for (var tokens = 1; tokens <= KernelFrame.MaxTokens; tokens++)
            {
                if (!form.IsFloat)
                {
                    kernels.Add((tokens, new QuantizedKernel(form, tokens).Assemble()));
                    continue;
                }

                const int variant = KernelFrame.MaxTokens + 1;
                kernels.Add((tokens, new FloatKernel(form.Format, tokens, 1, accumulate: false).Assemble()));
                kernels.Add((variant + tokens, new FloatKernel(form.Format, tokens, 2, accumulate: false).Assemble()));
                kernels.Add((2 * variant + tokens, new FloatKernel(form.Format, tokens, 1, accumulate: true).Assemble()));
            }

            return _code[(int)form.Format] = Place(kernels);
        }
    }

    private static nint[] Place(List<(int Slot, byte[] Code)> kernels)
    {
        var all = new byte[kernels.Sum(static kernel => (kernel.Code.Length + 63) & ~63)];
        var slots = new nint[3 * (KernelFrame.MaxTokens + 1)];
        var at = 0;
        foreach (var (slot, code) in kernels)
        {
            code.CopyTo(all, at);
            slots[slot] = at;
            at += (code.Length + 63) & ~63;
        }

        var start = ExecutableMemory.Place(all);
        if (start == 0) throw new InsufficientMemoryException($"The system refused {all.Length} bytes of executable memory; set {KernelCatalog.Variable}=avx512bw to do without.");
        foreach (var (slot, _) in kernels) slots[slot] += start;
        return slots;
    }
}
