using Kvasir.Kernels;

namespace Kvasir.Engine.Model;

/// <summary>
/// What one forward pass computes: some tokens of some sequences, and the rows whose logits are wanted. Reused from step
/// to step.
/// </summary>
internal sealed class Step
{
    private int[] _tables = new int[256];
    private AttentionSpan[] _spans = new AttentionSpan[16];
    private readonly int[] _tokens;
    private readonly int[] _positions;
    private readonly int[] _slots;
    private readonly int[] _logitRows;
    private int _tableCount;
    private int _spanCount;

    public Step(int maxTokens) =>
        (_tokens, _positions, _slots, _logitRows) = (new int[maxTokens], new int[maxTokens], new int[maxTokens], new int[maxTokens]);

    /// <summary>Tokens in the step.</summary>
    public int Count { get; private set; }

    /// <summary>Rows whose logits are wanted.</summary>
    public int LogitCount { get; private set; }

    public int Room => _tokens.Length - Count;

    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Count);

    public ReadOnlySpan<int> Positions => _positions.AsSpan(0, Count);

    public ReadOnlySpan<int> Slots => _slots.AsSpan(0, Count);

    public ReadOnlySpan<int> LogitRows => _logitRows.AsSpan(0, LogitCount);

    public ReadOnlySpan<AttentionSpan> Spans => _spans.AsSpan(0, _spanCount);

    public ReadOnlySpan<int> Tables => _tables.AsSpan(0, _tableCount);

    public void Clear() => (Count, LogitCount, _tableCount, _spanCount) = (0, 0, 0, 0);

    /// <summary>Adds consecutive tokens of one sequence.</summary>
    /// <param name="tokens">At most <see cref="Room"/>.</param>
    /// <param name="position">The first one's position.</param>
    /// <param name="table">The sequence's blocks, which already reach past the last token.</param>
    /// <param name="allLogits">Logits of every token, else of the last if <paramref name="lastLogits"/>.</param>
    /// <param name="lastLogits">Whether the last token's logits are wanted.</param>
    /// <returns>The index of the first wanted row among the logits, −1 for none.</returns>
    public int Add(ReadOnlySpan<int> tokens, int position, KvCache.BlockTable table, bool lastLogits, bool allLogits = false)
    {
        var firstLogit = lastLogits || allLogits ? LogitCount : -1;
        for (var i = 0; i < tokens.Length; i++)
        {
            (_tokens[Count + i], _positions[Count + i], _slots[Count + i]) = (tokens[i], position + i, table.Slot(position + i));
            if (allLogits || (lastLogits && i == tokens.Length - 1)) _logitRows[LogitCount++] = Count + i;
        }
        if (_spanCount == _spans.Length) Array.Resize(ref _spans, _spanCount * 2);
        if (_tableCount + table.Count > _tables.Length) Array.Resize(ref _tables, Math.Max(_tables.Length * 2, _tableCount + table.Count));
        _spans[_spanCount++] = new AttentionSpan(Count, tokens.Length, position, _tableCount);
        table.Blocks.CopyTo(_tables.AsSpan(_tableCount));
        _tableCount += table.Count;
        Count += tokens.Length;
        return firstLogit;
    }
}
