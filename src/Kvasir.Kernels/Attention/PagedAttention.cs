namespace Kvasir.Kernels;

/// <summary>What a layer's attention computes.</summary>
/// <param name="Heads">Query heads, a multiple of the KV heads; consecutive ones share a KV head.</param>
/// <param name="Scale">Factor on q·k.</param>
/// <param name="Window">Keys seen, the token's own included; 0 for all.</param>
/// <param name="SoftCap">cap · tanh(score / cap), before the mask; 0 for none.</param>
public sealed record AttentionShape(int Heads, float Scale, int Window = 0, float SoftCap = 0);

/// <summary>Consecutive tokens of one sequence in a step.</summary>
/// <param name="FirstRow">Their first row in the step's matrices.</param>
/// <param name="Rows">How many.</param>
/// <param name="Position">The first one's position in its sequence.</param>
/// <param name="Table">Where the sequence's block numbers begin in the step's tables.</param>
public readonly record struct AttentionSpan(int FirstRow, int Rows, int Position, int Table);

/// <summary>
/// Causal attention over paged keys and values: online softmax over key tiles at fixed positions, so that a token's
/// bits depend on its own sequence alone, however the prompt was cut and whatever else is in the batch.
/// </summary>
public static unsafe class PagedAttention
{
    private const int TileRows = 48;

    /// <summary>
    /// Attends for all spans of a step, whose keys and values are already written. Every worker calls it; a barrier
    /// must follow before the output is read.
    /// </summary>
    /// <param name="worker">The calling worker.</param>
    /// <param name="shape">What to compute.</param>
    /// <param name="pool">The layer's keys and values.</param>
    /// <param name="queries">[tokens, heads · key size].</param>
    /// <param name="spans">The step's sequences.</param>
    /// <param name="tables">Block numbers of all sequences.</param>
    /// <param name="output">Receives [tokens, heads · value size].</param>
    /// <param name="sinks">Per head a logit that takes part in the softmax without a value; empty for none.</param>
    public static void Attend(
        Worker worker, AttentionShape shape, KvPool pool, FloatMatrix queries,
        ReadOnlySpan<AttentionSpan> spans, ReadOnlySpan<int> tables, FloatMatrix output, ReadOnlySpan<float> sinks = default)
    {
        var layout = pool.Layout;
        if (shape.Heads % layout.KvHeads != 0) throw new ArgumentException($"{shape.Heads} query heads cannot share {layout.KvHeads} KV heads.");
        queries.RequireShape(0, shape.Heads * layout.KeySize, nameof(queries));
        output.RequireShape(queries.Rows, shape.Heads * layout.ValueSize, nameof(output));
        var sharing = shape.Heads / layout.KvHeads;
        var tokensPerTile = Math.Max(1, TileRows / sharing);
        var tiles = 0;
        foreach (var span in spans) tiles += Tiles(span, tokensPerTile);
        var scratch = new AttentionScratch(worker, layout, tokensPerTile * sharing);
        var loop = worker.Loop(tiles * layout.KvHeads);
        while (loop.TryNext(out var chunk))
        {
            var tile = chunk / layout.KvHeads;
            foreach (var span in spans)
            {
                var own = Tiles(span, tokensPerTile);
                if (tile >= own)
                {
                    tile -= own;
                    continue;
                }

                var first = tile * tokensPerTile;
                var part = new AttentionTile(shape, pool, chunk % layout.KvHeads, sharing, tables[span.Table..],
                    span.FirstRow + first, Math.Min(tokensPerTile, span.Rows - first), span.Position + first);
                part.Run(scratch, queries, output, sinks);
                break;
            }
        }
    }

    private static int Tiles(AttentionSpan span, int tokensPerTile) => (span.Rows + tokensPerTile - 1) / tokensPerTile;
}
