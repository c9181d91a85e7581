using System.Runtime.Intrinsics;

namespace Kvasir.Kernels;

/// <summary>
/// Some tokens' query heads that share one KV head, over all their keys. Rows are (token, head within the group).
/// Keys are the weights of one matrix product (16 keys = 16 lanes), values of another (16 values = 16 lanes). Where keys
/// are quantized, queries are rotated as these are and quantized too, to signed bytes per 32 values, each row by itself.
/// </summary>
internal readonly unsafe ref struct AttentionTile(
    AttentionShape shape, KvPool pool, int kvHead, int sharing, ReadOnlySpan<int> blocks, int firstRow, int tokens, int position)
{
    /// <summary>Most keys of a tile; ends at a multiple of it.</summary>
    public const int MostKeys = 128;

    private const int MostBlocks = MostKeys / KvLayout.BlockTokens;

    private readonly ReadOnlySpan<int> _blocks = blocks;

    private int Rows => tokens * sharing;

    public void Run(AttentionScratch scratch, FloatMatrix queries, FloatMatrix output, ReadOnlySpan<float> sinks)
    {
        Begin(scratch, queries);
        var keys = position + tokens;
        // What lies before the window's first block may be gone. Keys stay in their lanes, so that no bit depends on where it begins.
        var firstKey = shape.Window > 0 ? Math.Max(0, position - shape.Window + 1) / KvLayout.BlockTokens * KvLayout.BlockTokens : 0;
        for (var (start, next) = (firstKey, 0); start < keys; start = next)
        {
            next = Math.Min(keys, (start / MostKeys + 1) * MostKeys);
            var count = next - start;
            Score(scratch, start, count);
            for (var row = 0; row < Rows; row++) Softmax(scratch, row, start, count);
            AddValues(scratch, start, count);
        }

        for (var row = 0; row < Rows; row++)
            Finish(scratch, row, output, sinks);
    }

    private void Begin(AttentionScratch scratch, FloatMatrix queries)
    {
        var size = pool.Layout.KeySize;
        var scale = shape.Scale / KvLayout.Unit(pool.Layout.Format.Keys);
        for (var row = 0; row < Rows; row++)
        {
            var from = queries.RowStart(firstRow + row / sharing) + (kvHead * sharing + row % sharing) * size;
            var to = scratch.Queries + row * scratch.QueryStride;
            for (var i = 0; i < size; i++) to[i] = from[i] * scale;
            if (scratch.RecordStride > 0)
            {
                Hadamard.Rotate(to, size, Hadamard.Mixed(size));
                new Span<float>(to + size, scratch.PaddedSize - size).Clear();
                Activations.Quantize(to, scratch.Records + row * scratch.RecordStride, scratch.PaddedSize);
            }

            new Span<float>(scratch.Sums + row * scratch.SumStride, pool.Layout.ValueGroups * 16).Clear();
            new Span<float>(scratch.Weights + row * 16, 16).Clear();
            scratch.Largest[row] = float.NegativeInfinity;
        }
    }

    /// <summary>The blocks of some keys from <paramref name="start"/> on, in order; an entry after the last, which kernels may look at.</summary>
    private void List(int start, int count, bool values, byte** list)
    {
        for (var key = 0; key < count; key += KvLayout.BlockTokens)
        {
            var block = _blocks[(start + key) / KvLayout.BlockTokens];
            list[key / KvLayout.BlockTokens] = list[key / KvLayout.BlockTokens + 1] = values ? pool.ValueHead(block, kvHead) : pool.KeyHead(block, kvHead);
        }
    }

    private void Score(AttentionScratch scratch, int start, int count)
    {
        var list = stackalloc byte*[MostBlocks + 1];
        List(start, count, values: false, list);
        var kernels = KernelCatalog.Current;
        var quantized = KvLayout.IsQuantized(pool.Layout.Format.Keys);
        for (var row = 0; row < Rows;)
        {
            var tile = MatrixProduct.Tile(Rows - row, kernels.MaxTokens);
            var arguments = new KernelArguments
            {
                Blocks = list, Groups = (count + KvLayout.BlockTokens - 1) / KvLayout.BlockTokens, Steps = pool.Layout.KeySize,
                X = quantized ? scratch.Records + row * scratch.RecordStride : (byte*)(scratch.Queries + row * scratch.QueryStride),
                XStride = quantized ? scratch.RecordStride : scratch.QueryStride * 4,
                Output = scratch.Scores + row * scratch.ScoreStride, OutputStride = scratch.ScoreStride * 4, OutputGroupStride = 64, Mask = 0xFFFF,
            };
            kernels.Score(pool.Layout.Format.Keys, &arguments, tile);
            row += tile;
        }
    }

    private void Softmax(AttentionScratch scratch, int row, int start, int count)
    {
        var scores = scratch.Scores + row * scratch.ScoreStride;
        var own = position + row / sharing;
        var lowest = shape.Window > 0 ? own - shape.Window + 1 : 0;
        var padded = (count + 15) & ~15;
        // Most tiles are seen whole.
        if (shape.SoftCap > 0 || start + padded > own + 1 || start < lowest) Mask(scores, start, padded, own, lowest);
        var before = scratch.Largest[row];
        var largest = MathF.Max(before, RowSoftmax.Largest(scores, padded));
        // A row that has seen no key yet keeps sums of zero; its scores are all −∞, whatever is subtracted.
        var origin = float.IsNegativeInfinity(largest) ? 0 : largest;
        scratch.Largest[row] = largest;
        var shrink = VectorMath.Exp(Vector256.Create(before - origin));
        var weights = scratch.Weights + row * 16;
        for (var i = 0; i < 16; i += 8) (Vector256.Load(weights + i) * shrink).Store(weights + i);
        RowSoftmax.Exponentials(scores, padded, origin, weights);
        var sums = scratch.Sums + row * scratch.SumStride;
        for (var i = 0; i < pool.Layout.ValueGroups * 16; i += 8) (Vector256.Load(sums + i) * shrink).Store(sums + i);
    }

    private void Mask(float* scores, int start, int padded, int own, int lowest)
    {
        for (var i = 0; i < padded; i += 8)
        {
            var score = Vector256.Load(scores + i);
            if (shape.SoftCap > 0) score = VectorMath.Tanh(score / Vector256.Create(shape.SoftCap)) * Vector256.Create(shape.SoftCap);
            var key = Vector256.Create(start + i) + Vector256<int>.Indices;
            var seen = Vector256.LessThanOrEqual(key, Vector256.Create(own)) & Vector256.GreaterThanOrEqual(key, Vector256.Create(lowest));
            Vector256.ConditionalSelect(seen.AsSingle(), score, Vector256.Create(float.NegativeInfinity)).Store(scores + i);
        }
    }

    private void AddValues(AttentionScratch scratch, int start, int count)
    {
        var list = stackalloc byte*[MostBlocks + 1];
        List(start, count, values: true, list);
        var kernels = KernelCatalog.Current;
        for (var row = 0; row < Rows;)
        {
            var tile = MatrixProduct.Tile(Rows - row, kernels.MaxTokens);
            var arguments = new KernelArguments
            {
                // Keys after the last are not read: their place may hold anything.
                Blocks = list, Groups = pool.Layout.ValueGroups, Steps = count,
                X = (byte*)(scratch.Scores + row * scratch.ScoreStride), XStride = scratch.ScoreStride * 4,
                Output = scratch.Sums + row * scratch.SumStride, OutputStride = scratch.SumStride * 4, OutputGroupStride = 64, Mask = 0xFFFF,
            };
            kernels.AddValues(pool.Layout.Format.Values, &arguments, tile);
            row += tile;
        }
    }

    private void Finish(AttentionScratch scratch, int row, FloatMatrix output, ReadOnlySpan<float> sinks)
    {
        var head = kvHead * sharing + row % sharing;
        var weights = scratch.Weights + row * 16;
        var total = Vector256.Sum(Vector256.Load(weights) + Vector256.Load(weights + 8));
        var factor = 1f;
        if (!sinks.IsEmpty)
        {
            var largest = MathF.Max(scratch.Largest[row], sinks[head]);
            factor = MathF.Exp(scratch.Largest[row] - largest);
            total = total * factor + MathF.Exp(sinks[head] - largest);
        }

        var size = pool.Layout.ValueSize;
        var to = output.RowStart(firstRow + row / sharing) + head * size;
        var from = scratch.Sums + row * scratch.SumStride;
        var inverse = factor / total / KvLayout.Unit(pool.Layout.Format.Values);
        for (var i = 0; i < size; i++) to[i] = from[i] * inverse;
        if (KvLayout.IsQuantized(pool.Layout.Format.Values)) Hadamard.Rotate(to, size, Hadamard.Mixed(size));
    }
}
