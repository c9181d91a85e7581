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

    /// <summary>
    /// Scores of keys: <c>output[t][16 b + r] = Σ_k key_b[k][r] · x[t][k]</c> for the tokens r of every block b. Formats with
    /// scales take x as records of signed bytes; FP8 counts a 256th of what it is (<see cref="KvLayout.Unit"/>), here and below.
    /// </summary>
    /// <param name="format">How keys are stored.</param>
    /// <param name="a">Blocks, as many as groups; steps is the key size; x and output.</param>
    /// <param name="rows">Rows of x, at most <see cref="MaxTokens"/>.</param>
    public virtual void Score(KvFormat format, KernelArguments* a, int rows) => WidenedKv.Score(this, format, a, rows);

    /// <summary>Adds weighted values: <c>output[t][16 g + i] += Σ_k value[k][16 g + i] · x[t][k]</c> over the tokens k of all blocks in order.</summary>
    /// <param name="format">How values are stored.</param>
    /// <param name="a">Blocks, as many as steps (tokens) fill; groups of 16 values; x and output. Values after the last token are not read.</param>
    /// <param name="rows">Rows of x, at most <see cref="MaxTokens"/>.</param>
    public virtual void AddValues(KvFormat format, KernelArguments* a, int rows) => WidenedKv.AddValues(this, format, a, rows);

    /// <summary>Makes what keys and values of a layout need, so that no step has to wait for it.</summary>
    public virtual void Warm(KvFormats formats)
    {
    }
}
