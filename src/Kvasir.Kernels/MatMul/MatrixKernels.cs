namespace Kvasir.Kernels;

/// <summary>
/// One way of computing matrix products on this machine. Within a way, an output's bits depend on its weights and its
/// token's activations alone: each output is one lane, accumulated over columns in order.
/// </summary>
internal abstract unsafe class MatrixKernels
{
    /// <summary>Name in the catalog and in KVASIR_KERNELS.</summary>
    public abstract string Name { get; }

    /// <summary>Most tokens per call.</summary>
    public abstract int MaxTokens { get; }

    /// <summary>The form of activations that weights of this format are multiplied with.</summary>
    public virtual ActivationForms FormFor(PackedForm form) => form.IsFloat ? ActivationForms.Float : ActivationForms.Quantized;

    /// <summary>Computes all groups for <paramref name="tokens"/> tokens; overwrites the output.</summary>
    public abstract void Multiply(PackedForm form, KernelArguments* arguments, int tokens);

    /// <summary>The same for F32 and F16 weights, adding to the output.</summary>
    public abstract void MultiplyAdd(PackedForm form, KernelArguments* arguments, int tokens);

    /// <summary>Makes what a format needs, so that no step has to wait for it.</summary>
    public virtual void Warm(PackedForm form)
    {
    }
}
