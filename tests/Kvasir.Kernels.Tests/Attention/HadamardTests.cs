using System.Numerics;

namespace Kvasir.Kernels.Tests.Attention;

public sealed unsafe class HadamardTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(20, 4)]
    [InlineData(80, 16)]
    [InlineData(96, 32)]
    [InlineData(128, 128)]
    [InlineData(512, 256)]
    public void The_rotation_is_the_product_with_the_matrix_of_signs(int size, int mixed)
    {
        Assert.Equal(mixed, Hadamard.Mixed(size));
        var values = RandomWeights.Values(size, 1);
        float[] rotated = [.. values];
        fixed (float* at = rotated) Hadamard.Rotate(at, size, mixed);
        for (var i = 0; i < size; i++)
        {
            double expected = 0;
            for (var j = 0; j < mixed; j++) expected += values[i / mixed * mixed + j] * (BitOperations.PopCount((uint)(i % mixed & j)) % 2 == 0 ? 1 : -1);
            Assert.Equal(expected / Math.Sqrt(mixed), rotated[i], 1e-6);
        }

        fixed (float* at = rotated) Hadamard.Rotate(at, size, mixed);
        for (var i = 0; i < size; i++) Assert.Equal(values[i], rotated[i], 1e-6);
    }
}
