namespace Kvasir.Kernels;

/// <summary>One worker's memory for a tile of query rows.</summary>
internal readonly unsafe struct AttentionScratch
{
    public AttentionScratch(Worker worker, KvLayout layout, int rows)
    {
        PaddedSize = (layout.KeySize + 31) & ~31;
        QueryStride = Activations.OddLines(PaddedSize * 4L) / 4;
        ScoreStride = Activations.OddLines(AttentionTile.MostKeys * 4L) / 4;
        SumStride = Activations.OddLines(layout.ValueGroups * 64L) / 4;
        RecordStride = KvLayout.IsQuantized(layout.Format.Keys) ? Activations.OddLines(PaddedSize / 32L * Activations.RecordBytes) : 0;
        var floats = rows * (QueryStride + ScoreStride + SumStride + 16 + 1);
        Queries = (float*)worker.Scratch(floats * sizeof(float) + rows * RecordStride).Start;
        Scores = Queries + rows * QueryStride;
        Sums = Scores + rows * ScoreStride;
        Weights = Sums + rows * SumStride;
        Largest = Weights + rows * 16;
        Records = (byte*)(Largest + rows);
    }

    /// <summary>The key size, rounded up to whole records.</summary>
    public int PaddedSize { get; }

    /// <summary>[rows, padded key size], scaled.</summary>
    public float* Queries { get; }

    /// <summary>[rows, tile keys]: scores, then their exponentials.</summary>
    public float* Scores { get; }

    /// <summary>[rows, value size]: weighted values so far.</summary>
    public float* Sums { get; }

    /// <summary>[rows, 16]: sums of exponentials so far, lane j of the keys at j modulo 16.</summary>
    public float* Weights { get; }

    /// <summary>[rows]: the largest score so far.</summary>
    public float* Largest { get; }

    /// <summary>[rows]: queries as records of signed bytes, where keys are quantized.</summary>
    public byte* Records { get; }

    /// <summary>Bytes from a row's records to the next one's; 0 where there are none.</summary>
    public long RecordStride { get; }

    public long QueryStride { get; }

    public long ScoreStride { get; }

    public long SumStride { get; }
}
