using Kvasir.Kernels;

namespace Kvasir.Engine.Model;

/// <summary>
/// What one forward pass computes: some tokens of some sequences, and the rows whose logits are wanted. Reused from step
/// to step.
/// </summary>
internal sealed class Step
{
    private readonly int[][] _tables;
    private AttentionSpan[] _spans = new AttentionSpan[16];
    private readonly int[] _tokens;
    private readonly int[] _positions;
    private readonly int[][] _slots;
    private readonly int[] _logitRows;
    private int _tableCount;
    private int _spanCount;

    /// <param name="maxTokens">Most tokens.</param>
    /// <param name="groups">Groups of layers, each with blocks of its own.</param>
    public Step(int maxTokens, int groups)
    {
        (_tokens, _positions, _logitRows) = (new int[maxTokens], new int[maxTokens], new int[maxTokens]);
        _slots = [.. Enumerable.Range(0, groups).Select(_ => new int[maxTokens])];
        _tables = [.. Enumerable.Range(0, groups).Select(_ => new int[256])];
    }

    /// <summary>Tokens in the step.</summary>
    public int Count { get; private set; }

    /// <summary>Rows whose logits are wanted.</summary>
    public int LogitCount { get; private set; }

    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Count);

    public ReadOnlySpan<int> Positions => _positions.AsSpan(0, Count);

    /// <summary>Where a group of layers stores the tokens' keys and values.</summary>
    public ReadOnlySpan<int> Slots(int group) => _slots[group].AsSpan(0, Count);

    public ReadOnlySpan<int> LogitRows => _logitRows.AsSpan(0, LogitCount);

    public ReadOnlySpan<AttentionSpan> Spans => _spans.AsSpan(0, _spanCount);

    /// <summary>The blocks of a group of layers; every group's begin at the same places.</summary>
    public ReadOnlySpan<int> Tables(int group) => _tables[group].AsSpan(0, _tableCount);

    public void Clear() => (Count, LogitCount, _tableCount, _spanCount) = (0, 0, 0, 0);

    /// <summary>Adds consecutive tokens of one sequence.</summary>
    /// <param name="tokens">At most as many as there is room for.</param>
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
            (_tokens[Count + i], _positions[Count + i]) = (tokens[i], position + i);
            if (allLogits || (lastLogits && i == tokens.Length - 1)) _logitRows[LogitCount++] = Count + i;
        }
        if (_spanCount == _spans.Length) Array.Resize(ref _spans, _spanCount * 2);
        _spans[_spanCount++] = new AttentionSpan(Count, tokens.Length, position, _tableCount);
        var blocks = KvCache.BlockTable.BlocksFor(position + tokens.Length);
        for (var group = 0; group < _tables.Length; group++)
        {
            for (var i = 0; i < tokens.Length; i++) _slots[group][Count + i] = table.Slot(group, position + i);
            if (_tableCount + blocks > _tables[group].Length) Array.Resize(ref _tables[group], Math.Max(_tables[group].Length * 2, _tableCount + blocks));
            table.Blocks(group)[..blocks].CopyTo(_tables[group].AsSpan(_tableCount));
        }
        _tableCount += blocks;
        Count += tokens.Length;
        return firstLogit;
    }
}
