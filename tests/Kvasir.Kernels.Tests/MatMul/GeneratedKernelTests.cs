using System.Runtime.InteropServices;
using Iced.Intel;
using Kvasir.Kernels.Generated;

namespace Kvasir.Kernels.Tests.MatMul;

/// <summary>Machine code for processors that this one may not be: what is in it can be read anywhere.</summary>
public sealed class GeneratedKernelTests
{
    private static readonly CpuidFeature[] Avx2Machine =
    [
        CpuidFeature.INTEL8086, CpuidFeature.INTEL186, CpuidFeature.INTEL286, CpuidFeature.INTEL386, CpuidFeature.INTEL486, CpuidFeature.X64,
        CpuidFeature.SSE, CpuidFeature.PREFETCHW, CpuidFeature.MULTIBYTENOP, CpuidFeature.AVX, CpuidFeature.AVX2, CpuidFeature.FMA, CpuidFeature.F16C,
    ];

    public static TheoryData<WeightFormat> Formats() => new(RandomWeights.Formats);

    public static TheoryData<WeightFormat> QuantizedFormats() => new(RandomWeights.Formats.Where(format => !PackedForm.Of(format).IsFloat));

    [Theory, MemberData(nameof(Formats))]
    public void Kernels_for_AVX2_use_nothing_beyond_it(WeightFormat format)
    {
        foreach (var kernel in Kernels(format, ByteProducts.Pairs)) RequireAvx2(kernel);
    }

    /// <summary>Fails where code needs more than AVX2, FMA and F16C.</summary>
    internal static void RequireAvx2(byte[] kernel)
    {
        foreach (var instruction in Decode(kernel))
            Assert.All(instruction.CpuidFeatures, feature => Assert.True(Avx2Machine.Contains(feature), $"{instruction} needs {feature}"));
    }

    [Theory, MemberData(nameof(QuantizedFormats))]
    public void Kernels_for_AVX_VNNI_use_its_encoding_and_nothing_of_AVX_512(WeightFormat format)
    {
        foreach (var kernel in Kernels(format, ByteProducts.Vnni))
        {
            var instructions = Decode(kernel);
            Assert.Contains(instructions, instruction => instruction.Code == Code.VEX_Vpdpbusd_ymm_ymm_ymmm256);
            foreach (var instruction in instructions)
                Assert.All(instruction.CpuidFeatures, feature => Assert.True(feature == CpuidFeature.AVX_VNNI || Avx2Machine.Contains(feature), $"{instruction} needs {feature}"));
        }
    }

    /// <summary>Few processors have both encodings of the instruction: where AVX-512's is, it stands for the other.</summary>
    [Theory, MemberData(nameof(QuantizedFormats))]
    public void Kernels_with_256_bit_VNNI_give_the_bits_of_the_scalar_definition(WeightFormat format)
    {
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == Architecture.X64 && Generated512.Obstacle() is null, "No AVX-512 VNNI here.");
        const int rows = 37;
        var columns = format.BlockLength() * 3;
        var bytes = RandomWeights.Rows(format, rows, columns, 1);
        using var memory = new NativeBuffer(WeightMatrix.PackedBytes(format, rows, columns));
        var weights = WeightMatrix.Packed(format, rows, columns, memory.All, new Generated256(ByteProducts.VnniOfAvx512));
        weights.PackRows(0, bytes);
        var scalar = WeightMatrix.Packed(format, rows, columns, memory.All, KernelCatalog.Create("scalar"));
        for (var tokens = 1; tokens <= 7; tokens++)
        {
            var x = RandomWeights.Values(tokens * columns, 2);
            Assert.Equal(Bits(Products.Run(scalar, x, tokens)), Bits(Products.Run(weights, x, tokens)));
        }
    }

    [Fact]
    public void Without_a_BF16_unit_512_bit_kernels_give_the_bits_of_the_scalar_definition()
    {
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == Architecture.X64 && Generated512.Obstacle() is null, "No AVX-512 VNNI here.");
        const int rows = 53, columns = 67;
        using var memory = new NativeBuffer(WeightMatrix.PackedBytes(WeightFormat.BF16, rows, columns));
        var weights = WeightMatrix.Packed(WeightFormat.BF16, rows, columns, memory.All, new Generated512(hasBFloat16: false));
        weights.PackRows(0, RandomWeights.Rows(WeightFormat.BF16, rows, columns, 1));
        var scalar = WeightMatrix.Packed(WeightFormat.BF16, rows, columns, memory.All, KernelCatalog.Create("scalar"));
        foreach (var tokens in (int[])[1, 4, 7, 12, 13, 25])
        {
            var x = RandomWeights.Values(tokens * columns, 2);
            Assert.Equal(Bits(Products.Run(scalar, x, tokens)), Bits(Products.Run(weights, x, tokens)));
        }
    }

    /// <summary>The largest codes and activations together: nothing may saturate.</summary>
    [Theory, MemberData(nameof(QuantizedFormats))]
    public void Nothing_overflows_where_all_codes_and_activations_are_extreme(WeightFormat format)
    {
        const int rows = 16, tokens = 6;
        var columns = format.BlockLength() * 2;
        var form = PackedForm.Of(format);
        foreach (var fill in (byte[])[0x00, 0xFF, 0x80, 0x7F])
        {
            using var memory = new NativeBuffer(WeightMatrix.PackedBytes(format, rows, columns));
            var scalar = WeightMatrix.Packed(format, rows, columns, memory.All, KernelCatalog.Create("scalar"));
            scalar.PackRows(0, RandomWeights.Rows(format, rows, columns, 3));
            memory.All.AsSpan((int)form.ScaleBytes(columns), (int)(form.GroupBytes(columns) - form.ScaleBytes(columns))).Fill(fill);
            var x = Enumerable.Range(0, tokens * columns).Select(i => (i / columns) switch { 0 => 1f, 1 => -1f, 2 => i % 2 == 0 ? 1 : -1, _ => i % 4 < 2 ? 1 : -1 }).ToArray();
            var expected = Bits(Products.Run(scalar, x, tokens));
            Assert.DoesNotContain(expected, value => float.IsNaN(BitConverter.Int32BitsToSingle(value)));
            foreach (var strategy in KernelCatalog.Strategies.Where(strategy => strategy.IsAvailable))
                Assert.Equal(expected, Bits(Products.Run(WeightMatrix.Packed(format, rows, columns, memory.All, KernelCatalog.Create(strategy.Name)), x, tokens)));
        }
    }

    private static IEnumerable<byte[]> Kernels(WeightFormat format, ByteProducts products)
    {
        var form = PackedForm.Of(format);
        for (var tokens = 1; tokens <= Frame256.MaxTokens; tokens++)
        {
            if (!form.IsFloat)
            {
                yield return new QuantizedKernel256(form, tokens, products).Assemble();
                continue;
            }

            yield return new FloatKernel256(format, tokens, 1, accumulate: false).Assemble();
            yield return new FloatKernel256(format, tokens, 1, accumulate: true).Assemble();
            if (tokens <= FloatKernel256.MostTokensOfPairs) yield return new FloatKernel256(format, tokens, 2, accumulate: false).Assemble();
        }
    }

    private static List<Instruction> Decode(byte[] code)
    {
        var decoder = Decoder.Create(64, code);
        var instructions = new List<Instruction>();
        while (decoder.IP < (ulong)code.Length) instructions.Add(decoder.Decode());
        Assert.DoesNotContain(instructions, instruction => instruction.IsInvalid);
        return instructions;
    }

    private static int[] Bits(float[] values) => Array.ConvertAll(values, BitConverter.SingleToInt32Bits);
}
