namespace Kvasir.Checkpoints.Families;

/// <summary>Finds a dense model's tensors by name and checks that each has the shape that the spec says.</summary>
/// <param name="tensors">Every tensor of the checkpoint.</param>
/// <param name="names">Names by role.</param>
/// <param name="prefix">What stands before the names of the trunk ("model.").</param>
/// <param name="outputPrefix">What stands before the output projection's name.</param>
/// <param name="source">The checkpoint, for messages.</param>
/// <param name="explain">Why a tensor may be missing, or null.</param>
internal sealed class TensorBinder(
    IReadOnlyDictionary<string, TensorEntry> tensors, TensorNames names, string prefix, string outputPrefix, string source, Func<string, string?> explain)
{
    public ModelTensors Bind(ModelSpec spec)
    {
        var embedding = Matrix(prefix + names.Embedding, spec.VocabularySize, spec.HiddenSize);
        return new ModelTensors
        {
            TokenEmbedding = embedding,
            FinalNorm = Vector(prefix + names.FinalNorm + ".weight", spec.HiddenSize),
            Output = spec.TiedEmbeddings ? embedding : Matrix(outputPrefix + names.Output, spec.VocabularySize, spec.HiddenSize),
            Layers = [.. spec.Layers.Select((layer, i) => BindLayer(layer, prefix + string.Format(names.Layer, i), spec.HiddenSize))],
        };
    }

    private LayerTensors BindLayer(LayerSpec layer, string at, int hidden)
    {
        if (layer is not { Mixer: AttentionSpec attention, FeedForward: DenseFeedForwardSpec feedForward })
            throw new CheckpointException($"{source}: layer \"{at}\" is not dense attention with a dense feed-forward network, which is all that can be run.");
        long queries = (long)attention.Heads * attention.HeadSize;
        long keys = (long)attention.KeyValueHeads * attention.HeadSize;
        long values = (long)attention.KeyValueHeads * attention.ValueHeadSize;
        var (query, key, value) = QkvWeights(at, queries, keys, values, hidden);
        var biases = attention.QkvBias ? QkvBiases(at, queries, keys, values) : default;
        var (gate, up) = GateAndUp(at, feedForward.IntermediateSize, hidden);
        return new LayerTensors
        {
            MixerNorm = Vector(at + names.MixerNorm + ".weight", hidden),
            Query = query,
            Key = key,
            Value = value,
            QueryBias = attention.QkvBias ? biases.Query : null,
            KeyBias = attention.QkvBias ? biases.Key : null,
            ValueBias = attention.QkvBias ? biases.Value : null,
            AttentionOutput = Matrix(at + names.AttentionOutput, hidden, (long)attention.Heads * attention.ValueHeadSize),
            AttentionOutputBias = attention.OutputBias ? Vector(at + names.AttentionOutput + ".bias", hidden) : null,
            QueryNorm = attention.QkNorm ? Vector(at + names.QueryNorm + ".weight", attention.HeadSize) : null,
            KeyNorm = attention.QkNorm ? Vector(at + names.KeyNorm + ".weight", attention.HeadSize) : null,
            PostMixerNorm = layer.PostMixerNorm ? Vector(at + names.PostMixerNorm + ".weight", hidden) : null,
            FeedForwardNorm = Vector(at + names.FeedForwardNorm + ".weight", hidden),
            Gate = gate,
            Up = up,
            GateBias = feedForward.Bias ? Vector(at + names.Gate + ".bias", feedForward.IntermediateSize) : null,
            UpBias = feedForward.Bias ? Vector(at + names.Up + ".bias", feedForward.IntermediateSize) : null,
            Down = Matrix(at + names.Down, hidden, feedForward.IntermediateSize),
            DownBias = feedForward.Bias ? Vector(at + names.Down + ".bias", hidden) : null,
            PostFeedForwardNorm = layer.PostFeedForwardNorm ? Vector(at + names.PostFeedForwardNorm + ".weight", hidden) : null,
        };
    }

    private (TensorView Query, TensorView Key, TensorView Value) QkvWeights(string at, long queries, long keys, long values, long hidden)
    {
        if (!tensors.ContainsKey(at + names.FusedQkv + ".weight"))
            return (Matrix(at + names.Query, queries, hidden), Matrix(at + names.Key, keys, hidden), Matrix(at + names.Value, values, hidden));
        var fused = Matrix(at + names.FusedQkv, queries + keys + values, hidden).Tensor;
        return (new(fused, 0, queries), new(fused, queries, keys), new(fused, queries + keys, values));
    }

    private (TensorView Query, TensorView Key, TensorView Value) QkvBiases(string at, long queries, long keys, long values)
    {
        var name = at + names.FusedQkv + ".bias";
        if (!tensors.ContainsKey(name))
            return (Vector(at + names.Query + ".bias", queries), Vector(at + names.Key + ".bias", keys), Vector(at + names.Value + ".bias", values));
        var fused = Vector(name, queries + keys + values).Tensor;
        return (Part(fused, 0, queries), Part(fused, queries, keys), Part(fused, queries + keys, values));
    }

    private (TensorView? Gate, TensorView Up) GateAndUp(string at, long intermediate, long hidden)
    {
        if (tensors.ContainsKey(at + names.Gate + ".weight") || !tensors.ContainsKey(at + names.FusedGateUp + ".weight"))
            return (Matrix(at + names.Gate, intermediate, hidden), Matrix(at + names.Up, intermediate, hidden));
        var fused = Matrix(at + names.FusedGateUp, 2 * intermediate, hidden).Tensor;
        return (new TensorView(fused, 0, intermediate), new TensorView(fused, intermediate, intermediate));
    }

    private TensorView Matrix(string name, long rows, long columns)
    {
        var tensor = Find(name + ".weight");
        if (tensor.Rows != rows || tensor.Columns != columns)
            throw new CheckpointException($"{source}: tensor \"{tensor.Name}\" has the shape [{string.Join(", ", tensor.Shape)}]; [{rows}, {columns}] was expected of this model's configuration.");
        return new TensorView(tensor);
    }

    private TensorView Vector(string name, long length)
    {
        var tensor = Find(name);
        if (tensor.Rows != 1 || tensor.Columns != length)
            throw new CheckpointException($"{source}: tensor \"{name}\" has the shape [{string.Join(", ", tensor.Shape)}]; [{length}] was expected of this model's configuration.");
        if (tensor.Type.BlockLength() != 1)
            throw new CheckpointException($"{source}: tensor \"{name}\" is stored as {tensor.Type}; norms and biases are expected as F32, F16 or BF16.");
        return new TensorView(tensor);
    }

    /// <summary>Some of a vector's elements, as a tensor of their own: views count rows, and a vector has but one.</summary>
    private static TensorView Part(TensorEntry vector, long first, long length) =>
        new(vector with { Columns = length, Offset = vector.Offset + vector.Type.RowBytes(first), Shape = [length] });

    private TensorEntry Find(string name) => tensors.TryGetValue(name, out var tensor)
        ? tensor
        : throw new CheckpointException($"{source}: tensor \"{name}\" is missing{(explain(name) is { } reason ? $" ({reason})" : "")}. The checkpoint is incomplete, or of another kind than its configuration says.");
}
