using Kvasir.Checkpoints;

namespace Kvasir.Planning.Weights;

/// <summary>How a checkpoint stores its matrices (memory model, §1.3).</summary>
public enum WeightFormat
{
    /// <summary>32-bit float.</summary>
    Fp32,
    /// <summary>16-bit float, either kind.</summary>
    Bf16,
    /// <summary>8-bit float, one scale per tensor.</summary>
    Fp8Tensor,
    /// <summary>8-bit float or integer, one F32 scale per output channel (compressed-tensors W8A8, SmoothQuant).</summary>
    Fp8Channel,
    /// <summary>8-bit float, one F32 scale per 128×128 block (DeepSeek V3, Qwen3-FP8).</summary>
    Fp8Block,
    /// <summary>8-bit integer, one F32 scale per channel.</summary>
    Int8,
    /// <summary>4-bit integer in groups of 128: F16 scales, packed zeros.</summary>
    Awq,
    /// <summary>4-bit integer in groups of 128 with the order of activations kept.</summary>
    GptqActOrder,
    /// <summary>4-bit integer in groups of 128.</summary>
    Gptq,
    /// <summary>8-bit integer in groups of 128.</summary>
    Gptq8,
    /// <summary>4-bit integer in groups of 32, F16 scales, no zeros (compressed-tensors W4A16 of Kimi K2).</summary>
    Int4Group32,
    /// <summary>bitsandbytes NF4, blocks of 64, F32 scales.</summary>
    Nf4,
    /// <summary>bitsandbytes NF4 with scales quantized again.</summary>
    Nf4Double,
    /// <summary>4-bit float, blocks of 32 with an 8-bit exponent.</summary>
    Mxfp4,
    /// <summary>4-bit float, blocks of 16 with an 8-bit float scale, a global F32.</summary>
    Nvfp4,
}

/// <summary>Bytes of a matrix in each format.</summary>
public static class WeightFormats
{
    private const int Group = 128;

    /// <summary>Bytes of one matrix of <paramref name="outputs"/> × <paramref name="inputs"/>, scales included.</summary>
    public static long Bytes(this WeightFormat format, long inputs, long outputs)
    {
        var n = inputs * outputs;
        var groups = Ceiling(inputs, Group);
        return format switch
        {
            WeightFormat.Fp32 => 4 * n,
            WeightFormat.Bf16 => 2 * n,
            WeightFormat.Fp8Tensor => n + 4,
            WeightFormat.Fp8Channel or WeightFormat.Int8 => n + (4 * outputs),
            WeightFormat.Fp8Block => n + (4 * groups * Ceiling(outputs, Group)),
            WeightFormat.Awq or WeightFormat.Gptq => (n / 2) + (2 * outputs * groups) + (outputs * groups / 2),
            WeightFormat.GptqActOrder => (n / 2) + (2 * outputs * groups) + (outputs * groups / 2) + (4 * inputs),
            WeightFormat.Gptq8 => n + (2 * outputs * groups) + (outputs * groups),
            WeightFormat.Int4Group32 => (n / 2) + (2 * outputs * Ceiling(inputs, 32)),
            WeightFormat.Nf4 => (n / 2) + (4 * Ceiling(n, 64)),
            WeightFormat.Nf4Double => (n / 2) + Ceiling(n, 64) + (4 * Ceiling(n, 16384)),
            WeightFormat.Mxfp4 => (n / 2) + (n / 32),
            WeightFormat.Nvfp4 => (n / 2) + (n / 16) + 8,
            _ => throw new ArgumentOutOfRangeException(nameof(format)),
        };
    }

    /// <summary>Weights that must stay together when a matrix is divided, 1 for none.</summary>
    public static int GroupSize(this WeightFormat format) => format switch
    {
        WeightFormat.Awq or WeightFormat.Gptq or WeightFormat.GptqActOrder or WeightFormat.Gptq8 or WeightFormat.Fp8Block => Group,
        WeightFormat.Int4Group32 or WeightFormat.Mxfp4 => 32,
        WeightFormat.Nvfp4 => 16,
        _ => 1,
    };

    /// <summary>Bits per weight of a large matrix, for rules of thumb.</summary>
    public static double BitsPerWeight(this WeightFormat format) => format.Bytes(16384, 16384) * 8.0 / (16384.0 * 16384);

    /// <summary>The smallest number of whole <paramref name="size"/> in <paramref name="count"/>.</summary>
    internal static long Ceiling(long count, long size) => (count + size - 1) / size;
}
