namespace Kvasir.Kernels;

/// <summary>One worker's memory for a tile of query rows.</summary>
internal readonly unsafe struct AttentionScratch
{
    public AttentionScratch(Worker worker, KvLayout layout, int rows, int tileKeys)
    {
        QueryStride = Activations.OddLines(layout.KeySize * 4L) / 4;
        ScoreStride = Activations.OddLines(tileKeys * 4L) / 4;
        SumStride = Activations.OddLines(layout.ValueGroups * 64L) / 4;
        var floats = rows * (QueryStride + ScoreStride + SumStride + 16 + 1);
        Queries = (float*)worker.Scratch(floats * sizeof(float)).Start;
        Scores = Queries + rows * QueryStride;
        Sums = Scores + rows * ScoreStride;
        Weights = Sums + rows * SumStride;
        Largest = Weights + rows * 16;
    }

    /// <summary>[rows, key size], scaled.</summary>
    public float* Queries { get; }

    /// <summary>[rows, tile keys]: scores, then their exponentials.</summary>
    public float* Scores { get; }

    /// <summary>[rows, value size]: weighted values so far.</summary>
    public float* Sums { get; }

    /// <summary>[rows, 16]: sums of exponentials so far, lane j of the keys at j modulo 16.</summary>
    public float* Weights { get; }

    /// <summary>[rows]: the largest score so far.</summary>
    public float* Largest { get; }

    public long QueryStride { get; }

    public long ScoreStride { get; }

    public long SumStride { get; }
}
