namespace Kvasir.Kernels.Tests;

public sealed class TokenOperationTests
{
    private static readonly int[] Sizes = [1, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 255, 512];

    [Fact]
    public void Rms_norm_is_its_formula() => Each(Sizes, (x, other, n) =>
    {
        var expected = x.Select((v, i) => v / Math.Sqrt(x.Sum(w => (double)w * w) / n + 1e-5) * other[i]).ToArray();
        Close(expected, Run(x, m => w => Norm.Rms(w, m, other, 1e-5f, m)), 1e-5);
    });

    [Fact]
    public void Layer_norm_is_its_formula() => Each(Sizes, (x, other, n) =>
    {
        var mean = x.Average(v => (double)v);
        var variance = x.Average(v => (v - mean) * (v - mean));
        var expected = x.Select((v, i) => (v - mean) / Math.Sqrt(variance + 1e-5) * other[i] + x[i]).ToArray();
        Close(expected, Run(x, m => w => Norm.Layer(w, m, other, x, 1e-5f, m)), 1e-5);
    });

    [Theory]
    [InlineData(GateFunction.Silu)]
    [InlineData(GateFunction.GeluTanh)]
    [InlineData(GateFunction.GeluErf)]
    public void Gates_are_their_formulas(GateFunction function) => Each(Sizes, (x, other, n) =>
    {
        using var up = Matrix(other);
        var expected = x.Select((v, i) => Gate(function, v) * other[i]).ToArray();
        Close(expected, Run(x, m => w => Elementwise.Gate(w, function, m, up.Floats(1, n))), 3e-6);
    });

    [Fact]
    public void Soft_caps_biases_and_sums_are_their_formulas() => Each(Sizes, (x, other, n) =>
    {
        using var second = Matrix(other);
        Close(x.Select(v => 2 * Math.Tanh(v / 2.0)).ToArray(), Run(x, m => w => Elementwise.SoftCap(w, m, 2)), 2e-6);
        Close(x.Select((v, i) => (double)v + other[i]).ToArray(), Run(x, m => w => Elementwise.AddBias(w, m, other)), 1e-6);
        Close(x.Select((v, i) => (double)v + other[i]).ToArray(), Run(x, m => w => Elementwise.Add(w, m, second.Floats(1, n))), 1e-6);
    });

    [Theory, InlineData(RopePairing.Adjacent, 16, 8), InlineData(RopePairing.Halves, 64, 32), InlineData(RopePairing.Halves, 80, 10)]
    public void Rope_turns_pairs_by_position_times_frequency(RopePairing pairing, int headSize, int pairs)
    {
        var frequencies = Enumerable.Range(0, pairs).Select(i => Math.Pow(10000, -(double)i / pairs)).ToArray();
        var x = RandomWeights.Values(2 * headSize, 1);
        var expected = x.Select(v => (double)v).ToArray();
        for (var head = 0; head < 2; head++)
            for (var i = 0; i < pairs; i++)
            {
                var (a, b) = pairing == RopePairing.Adjacent ? (2 * i, 2 * i + 1) : (i, pairs + i);
                var (sine, cosine) = Math.SinCos(1234 * frequencies[i]);
                var (u, v) = ((double)x[head * headSize + a], (double)x[head * headSize + b]);
                expected[head * headSize + a] = u * cosine - v * sine;
                expected[head * headSize + b] = u * sine + v * cosine;
            }

        Close(expected, Run(x, m => w =>
        {
            var table = new RopeTable(frequencies, 1, 1);
            using var team = new WorkerTeam(1);
            team.Run(alone => table.Fill(alone, [1234]));
            Rope.Apply(w, m, headSize, table, pairing);
        }, workers: 1), 1e-6);
    }

    [Fact]
    public unsafe void The_exponential_stays_within_two_units_in_the_last_place()
    {
        var random = new Random(1);
        for (var i = 0; i < 100_000; i++)
        {
            var x = (float)(random.NextDouble() * 170 - 87);
            var expected = Math.Exp(x);
            var actual = VectorMath.Exp(System.Runtime.Intrinsics.Vector256.Create(x))[0];
            Assert.True(Math.Abs(actual - expected) <= 2 * MathF.BitIncrement((float)expected) - 2 * (float)expected, $"e^{x}: {actual}, expected {expected}");
        }

        Assert.Equal(1, VectorMath.Exp(System.Runtime.Intrinsics.Vector256<float>.Zero)[0]);
        Assert.Equal(0, VectorMath.Exp(System.Runtime.Intrinsics.Vector256.Create(float.NegativeInfinity))[0]);
    }

    private static double Gate(GateFunction function, double x) => function switch
    {
        GateFunction.Silu => x / (1 + Math.Exp(-x)),
        GateFunction.GeluTanh => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
        _ => 0.5 * x * (1 + Erf(x / Math.Sqrt(2))),
    };

    /// <summary>Maclaurin series: plenty for |x| below 3.</summary>
    private static double Erf(double x)
    {
        double sum = 0, term = x;
        for (var n = 0; n < 80; n++)
        {
            sum += term / (2 * n + 1);
            term *= -x * x / (n + 1);
        }

        return 2 / Math.Sqrt(Math.PI) * sum;
    }

    private static void Each(int[] sizes, Action<float[], float[], int> check)
    {
        foreach (var n in sizes) check(RandomWeights.Values(n, n, 4), RandomWeights.Values(n, n + 1), n);
    }

    private static NativeBuffer Matrix(float[] values)
    {
        var buffer = new NativeBuffer(values.Length * 4);
        values.CopyTo(buffer.Floats(1, values.Length).Row(0));
        return buffer;
    }

    private static float[] Run(float[] x, Func<FloatMatrix, Action<Worker>> operation, int workers = 2)
    {
        using var buffer = Matrix(x);
        using var team = new WorkerTeam(workers);
        team.Run(operation(buffer.Floats(1, x.Length)));
        return buffer.Floats(1, x.Length).Row(0).ToArray();
    }

    private static void Close(double[] expected, float[] actual, double tolerance)
    {
        for (var i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - actual[i]) <= tolerance * (1 + Math.Abs(expected[i])), $"{i} of {expected.Length}: {actual[i]}, expected {expected[i]}");
    }
}
