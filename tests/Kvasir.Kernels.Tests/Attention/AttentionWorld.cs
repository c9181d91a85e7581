namespace Kvasir.Kernels.Tests.Attention;

/// <summary>One sequence with random queries, keys and values, its blocks scattered over a pool full of junk.</summary>
internal sealed class AttentionWorld : IDisposable
{
    private readonly AttentionShape _shape;
    private readonly KvLayout _layout;
    private readonly int _tokens;
    private readonly NativeBuffer _keyMemory, _valueMemory, _queries, _keys, _values, _output;
    private readonly int[] _table;
    private readonly float[] _sinks;
    private readonly KvPool _pool;

    public AttentionWorld(AttentionShape shape, KvLayout layout, int tokens, bool sinks)
    {
        (_shape, _layout, _tokens) = (shape, layout, tokens);
        var blocks = (tokens + 15) / 16 * 2 + 3;
        _keyMemory = Junk(blocks * layout.KeyBlockBytes);
        _valueMemory = Junk(blocks * layout.ValueBlockBytes);
        _pool = new KvPool(layout, blocks, _keyMemory.All, _valueMemory.All);
        _table = [.. Enumerable.Range(0, (tokens + 15) / 16).Select(i => blocks - 2 - 2 * i)];
        _queries = Random(shape.Heads * layout.KeySize, 1);
        _keys = Random(layout.KvHeads * layout.KeySize, 2, values => Stored.Heads(layout.Format.Keys, values, layout.KeySize));
        _values = Random(layout.KvHeads * layout.ValueSize, 3, values => Stored.Heads(layout.Format.Values, values, layout.ValueSize));
        _output = new NativeBuffer((long)tokens * shape.Heads * layout.ValueSize * 4);
        _sinks = sinks ? RandomWeights.Values(shape.Heads, 4) : [];
    }

    private FloatMatrix Queries => _queries.Floats(_tokens, _shape.Heads * _layout.KeySize);

    private FloatMatrix Keys => _keys.Floats(_tokens, _layout.KvHeads * _layout.KeySize);

    private FloatMatrix Values => _values.Floats(_tokens, _layout.KvHeads * _layout.ValueSize);

    /// <summary>Runs the sequence in chunks, one step each, or as spans of one step.</summary>
    public float[] Run(int[] chunks, int workers, bool together = false)
    {
        using var team = new WorkerTeam(workers);
        var output = _output.Floats(_tokens, _shape.Heads * _layout.ValueSize);
        var spans = new List<AttentionSpan>();
        var position = 0;
        foreach (var rows in chunks)
        {
            spans.Add(new AttentionSpan(position, rows, position, 0));
            position += rows;
        }

        var steps = together ? [[.. spans]] : spans.ConvertAll(span => new[] { span });
        foreach (var step in steps) team.Run(worker => Step(worker, step, output));
        var result = new float[_tokens * output.Columns];
        for (var t = 0; t < _tokens; t++) output.Row(t).CopyTo(result.AsSpan(t * output.Columns));
        return result;
    }

    public double[] Reference()
    {
        var (heads, size) = (_shape.Heads, _layout.KeySize);
        var result = new double[_tokens * heads * _layout.ValueSize];
        var queries = new float[_tokens * heads * size];
        for (var t = 0; t < _tokens; t++) Queries.Row(t).CopyTo(queries.AsSpan(t * heads * size));
        for (var i = 0; i < queries.Length; i++) queries[i] *= _shape.Scale;
        if (_layout.Format.Keys is KvFormat.Q8_0 or KvFormat.Q4_0) queries = Stored.Queries(queries, size);
        for (var t = 0; t < _tokens; t++)
            for (var h = 0; h < heads; h++)
            {
                var kv = h / (heads / _layout.KvHeads);
                var first = _shape.Window > 0 ? Math.Max(0, t - _shape.Window + 1) : 0;
                var scores = new double[t + 1 - first];
                for (var j = first; j <= t; j++)
                {
                    double dot = 0;
                    for (var i = 0; i < size; i++) dot += (double)queries[(t * heads + h) * size + i] * Keys.Row(j)[kv * size + i];
                    scores[j - first] = _shape.SoftCap > 0 ? _shape.SoftCap * Math.Tanh(dot / _shape.SoftCap) : dot;
                }

                var total = scores.Sum(Math.Exp) + (_sinks.Length > 0 ? Math.Exp(_sinks[h]) : 0);
                for (var j = first; j <= t; j++)
                    for (var i = 0; i < _layout.ValueSize; i++)
                        result[(t * heads + h) * _layout.ValueSize + i] +=
                            Math.Exp(scores[j - first]) / total * Values.Row(j)[kv * _layout.ValueSize + i];
            }

        return result;
    }

    public void Dispose()
    {
        foreach (var buffer in new[] { _keyMemory, _valueMemory, _queries, _keys, _values, _output }) buffer.Dispose();
    }

    private void Step(Worker worker, AttentionSpan[] spans, FloatMatrix output)
    {
        foreach (var span in spans)
        {
            var slots = Enumerable.Range(span.Position, span.Rows).Select(p => _table[p / 16] * 16 + p % 16).ToArray();
            _pool.Write(worker, Keys.SliceRows(span.FirstRow, span.Rows), Values.SliceRows(span.FirstRow, span.Rows), slots);
        }

        worker.Barrier();
        PagedAttention.Attend(worker, _shape, _pool, Queries, spans, _table, output, _sinks);
    }

    private NativeBuffer Random(int columns, int seed, Func<float[], float[]>? store = null)
    {
        var buffer = new NativeBuffer((long)_tokens * columns * 4);
        var matrix = buffer.Floats(_tokens, columns);
        var values = RandomWeights.Values(_tokens * columns, seed, 2);
        if (store is not null) values = store(values);
        for (var t = 0; t < _tokens; t++) values.AsSpan(t * columns, columns).CopyTo(matrix.Row(t));
        return buffer;
    }

    private static NativeBuffer Junk(long bytes)
    {
        var buffer = new NativeBuffer(bytes);
        new Random(9).NextBytes(buffer.All.AsSpan(0, (int)bytes)); // NaN and infinities of an earlier owner among them
        return buffer;
    }
}
