using System.Runtime.InteropServices;

namespace Kvasir.Kernels;

/// <summary>
/// What a matrix kernel is called with; generated code reads it at these offsets and may change it.
/// The kernel computes <c>output[t][16 g + r] = Σ_k weight[16 g + r][k] · x[t][k]</c> for its tokens t and all groups g.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KernelArguments
{
    /// <summary>Offset 0: first group (its scales, or its floats).</summary>
    public byte* Group;
    /// <summary>8: bytes from a group to the next.</summary>
    public long GroupBytes;
    /// <summary>16: bytes of a group's scales, after which its codes begin.</summary>
    public long ScaleBytes;
    /// <summary>24: the first token's activations.</summary>
    public byte* X;
    /// <summary>32: bytes from a token's activations to the next one's.</summary>
    public long XStride;
    /// <summary>40: the first token's output.</summary>
    public float* Output;
    /// <summary>48: bytes from a token's output to the next one's.</summary>
    public long OutputStride;
    /// <summary>56: iterations over columns: units (quantized), columns (F32, F16), pairs of columns (BF16).</summary>
    public long Steps;
    /// <summary>64: groups of 16 rows.</summary>
    public long Groups;
    /// <summary>72: lanes of the output that exist.</summary>
    public long Mask;
    /// <summary>80: bytes from a group's output to the next one's: 64 as a rule.</summary>
    public long OutputGroupStride;
    /// <summary>88: addresses of blocks of keys or values, for the kernels that go through such a list.</summary>
    public byte** Blocks;
}
