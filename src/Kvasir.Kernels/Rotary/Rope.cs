using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>Which values of a head turn together.</summary>
public enum RopePairing
{
    /// <summary>(0, 1), (2, 3) …: Llama's GGUF files.</summary>
    Adjacent,
    /// <summary>(0, n/2), (1, n/2 + 1) …: NeoX, and Hugging Face checkpoints.</summary>
    Halves,
}

/// <summary>Cosines and sines of a step's positions, computed once for all layers that share them.</summary>
public sealed class RopeTable
{
    private readonly double[] _inverseFrequencies;
    private readonly float _magnitude;
    private readonly float[] _cosines;
    private readonly float[] _sines;

    /// <param name="inverseFrequencies">[rotary / 2], radians per position, scaling included.</param>
    /// <param name="magnitude">Factor on both cosine and sine (YaRN, longrope), else 1.</param>
    /// <param name="maxTokens">Tokens of the largest step.</param>
    public RopeTable(ReadOnlySpan<double> inverseFrequencies, float magnitude, int maxTokens)
    {
        _inverseFrequencies = inverseFrequencies.ToArray();
        _magnitude = magnitude;
        _cosines = new float[maxTokens * _inverseFrequencies.Length];
        _sines = new float[maxTokens * _inverseFrequencies.Length];
    }

    /// <summary>Pairs that turn: half of the rotary dimensions.</summary>
    public int Pairs => _inverseFrequencies.Length;

    /// <summary>Fills the table for tokens at these positions. Every worker calls it; a barrier must follow.</summary>
    public void Fill(Worker worker, ReadOnlySpan<int> positions)
    {
        var (first, count) = worker.Share(positions.Length);
        for (var token = first; token < first + count; token++)
            for (var pair = 0; pair < Pairs; pair++)
            {
                var (sine, cosine) = Math.SinCos(positions[token] * _inverseFrequencies[pair]);
                _cosines[token * Pairs + pair] = (float)cosine * _magnitude;
                _sines[token * Pairs + pair] = (float)sine * _magnitude;
            }
    }

    internal ReadOnlySpan<float> Cosines(int token) => _cosines.AsSpan(token * Pairs, Pairs);

    internal ReadOnlySpan<float> Sines(int token) => _sines.AsSpan(token * Pairs, Pairs);
}

/// <summary>Rotary position embedding.</summary>
public static unsafe class Rope
{
    /// <summary>Turns the first 2 · Pairs values of each head, in place. Every worker calls it; tokens are split evenly.</summary>
    /// <param name="worker">The calling worker.</param>
    /// <param name="x">[tokens, heads · headSize].</param>
    /// <param name="headSize">Values per head, at least 2 · Pairs.</param>
    /// <param name="table">Filled for the same tokens.</param>
    /// <param name="pairing">Which values turn together.</param>
    public static void Apply(Worker worker, FloatMatrix x, int headSize, RopeTable table, RopePairing pairing)
    {
        if (x.Columns % headSize != 0 || table.Pairs * 2 > headSize)
            throw new ArgumentException($"{table.Pairs} rotary pairs do not fit heads of {headSize} in {x.Columns} columns.");
        var (first, count) = worker.Share(x.Rows);
        for (var token = first; token < first + count; token++)
            fixed (float* cosines = table.Cosines(token), sines = table.Sines(token))
                for (var head = 0; head < x.Columns; head += headSize)
                {
                    var values = x.RowStart(token) + head;
                    if (pairing == RopePairing.Halves) TurnHalves(values, cosines, sines, table.Pairs);
                    else TurnAdjacent(values, cosines, sines, table.Pairs);
                }
    }

    private static void TurnHalves(float* x, float* cosines, float* sines, int pairs)
    {
        var i = 0;
        for (; i + 8 <= pairs; i += 8)
        {
            var (a, b) = (Vector256.Load(x + i), Vector256.Load(x + pairs + i));
            var (c, s) = (Vector256.Load(cosines + i), Vector256.Load(sines + i));
            (a * c - b * s).Store(x + i);
            (a * s + b * c).Store(x + pairs + i);
        }

        for (; i < pairs; i++)
        {
            var (a, b) = (x[i], x[pairs + i]);
            x[i] = a * cosines[i] - b * sines[i];
            x[pairs + i] = a * sines[i] + b * cosines[i];
        }
    }

    private static void TurnAdjacent(float* x, float* cosines, float* sines, int pairs)
    {
        for (var i = 0; i < pairs; i++)
        {
            var (a, b) = (x[2 * i], x[2 * i + 1]);
            x[2 * i] = a * cosines[i] - b * sines[i];
            x[2 * i + 1] = a * sines[i] + b * cosines[i];
        }
    }
}
