using Kvasir.Checkpoints;
using Kvasir.Kernels;

namespace Kvasir.Engine.Model;

/// <summary>How far loading is.</summary>
/// <param name="DoneBytes">Bytes of weights read.</param>
/// <param name="TotalBytes">Bytes of weights in all.</param>
public readonly record struct LoadProgress(long DoneBytes, long TotalBytes);

/// <summary>Brings a checkpoint's weights into the form that kernels read, dropping the file's pages as it goes.</summary>
internal sealed class WeightLoader
{
    private const int Alignment = 64;

    /// <summary>Rows packed by one worker at a time: whole groups, a few MB.</summary>
    private const int RowsPerChunk = 256;

    private readonly Checkpoint _checkpoint;
    private readonly WorkerTeam _team;
    private readonly IProgress<LoadProgress>? _progress;
    private readonly NativeBuffer? _arena;
    private readonly bool _reads;
    private readonly Dictionary<TensorView, WeightMatrix> _matrices = [];
    private readonly long _totalBytes;
    private long _arenaUsed;
    private long _doneBytes;

    private WeightLoader(Checkpoint checkpoint, WorkerTeam team, NativeBuffer? arena, bool reads, IProgress<LoadProgress>? progress)
    {
        (_checkpoint, _team, _arena, _reads, _progress) = (checkpoint, team, arena, reads, progress);
        _totalBytes = Matrices(checkpoint.Tensors).Sum(view => view.ByteLength);
    }

    /// <summary>Bytes that packed matrices take.</summary>
    public static long ArenaBytes(ModelTensors tensors) => Matrices(tensors).Sum(PackedBytes);

    /// <summary>Loads everything.</summary>
    /// <param name="checkpoint">Where from; must outlive the result if <paramref name="mapped"/>.</param>
    /// <param name="team">Who packs.</param>
    /// <param name="mapped">Use the matrices where they lie in the file.</param>
    /// <param name="reads">Whether to read matrices now; else they have their memory, untouched, until <see cref="Refill"/>.</param>
    /// <param name="progress">Told after every matrix.</param>
    public static ModelWeights Load(Checkpoint checkpoint, WorkerTeam team, bool mapped, bool reads, IProgress<LoadProgress>? progress)
    {
        var arena = mapped ? null : new NativeBuffer(ArenaBytes(checkpoint.Tensors));
        try
        {
            return new WeightLoader(checkpoint, team, arena, reads, progress).Load();
        }
        catch
        {
            arena?.Dispose();
            throw;
        }
    }

    /// <summary>Fills the memory of weights that were not read, or read and discarded.</summary>
    /// <exception cref="CheckpointException">The files are not what they were.</exception>
    public static void Refill(Checkpoint checkpoint, WorkerTeam team, NativeBuffer arena)
    {
        checkpoint.RequireUnchanged();
        new WeightLoader(checkpoint, team, arena, reads: true, null).Load();
    }

    private ModelWeights Load()
    {
        var tensors = _checkpoint.Tensors;
        var offset = _checkpoint.Spec.Norm.WeightOffset;
        return new ModelWeights
        {
            Arena = _arena,
            Embedding = Matrix(tensors.TokenEmbedding),
            Output = Matrix(tensors.Output),
            OutputBias = Vector(tensors.OutputBias),
            FinalNorm = Vector(tensors.FinalNorm, offset),
            FinalNormBias = Vector(tensors.FinalNormBias),
            Layers = [.. tensors.Layers.Select(layer => Layer(layer, offset))],
        };
    }

    private LayerWeights Layer(LayerTensors layer, float offset) => new()
    {
        MixerNorm = Vector(layer.MixerNorm, offset),
        MixerNormBias = Vector(layer.MixerNormBias),
        Query = Matrix(layer.Query),
        Key = Matrix(layer.Key),
        Value = Matrix(layer.Value),
        QueryBias = Vector(layer.QueryBias),
        KeyBias = Vector(layer.KeyBias),
        ValueBias = Vector(layer.ValueBias),
        QueryNorm = Vector(layer.QueryNorm, offset),
        KeyNorm = Vector(layer.KeyNorm, offset),
        AttentionOutput = Matrix(layer.AttentionOutput),
        AttentionOutputBias = Vector(layer.AttentionOutputBias),
        PostMixerNorm = Vector(layer.PostMixerNorm, offset),
        FeedForwardNorm = Vector(layer.FeedForwardNorm, offset),
        FeedForwardNormBias = Vector(layer.FeedForwardNormBias),
        Gate = Matrix(layer.Gate!.Value),
        Up = Matrix(layer.Up),
        Down = Matrix(layer.Down),
        GateBias = Vector(layer.GateBias),
        UpBias = Vector(layer.UpBias),
        DownBias = Vector(layer.DownBias),
        PostFeedForwardNorm = Vector(layer.PostFeedForwardNorm, offset),
    };

    private WeightMatrix Matrix(TensorView view)
    {
        if (_matrices.TryGetValue(view, out var known)) return known;
        var matrix = _arena is null
            ? WeightMatrix.Mapped((WeightFormat)view.Type, (int)view.Rows, (int)view.Columns, _checkpoint.Address(view))
            : Pack(view, _arena);
        _matrices.Add(view, matrix);
        if (!_reads) return matrix;
        _doneBytes += view.ByteLength;
        _progress?.Report(new LoadProgress(_doneBytes, _totalBytes));
        return matrix;
    }

    private WeightMatrix Pack(TensorView view, NativeBuffer arena)
    {
        var bytes = PackedBytes(view);
        var matrix = WeightMatrix.Packed((WeightFormat)view.Type, (int)view.Rows, (int)view.Columns, arena.Slice(_arenaUsed, bytes));
        _arenaUsed += bytes;
        if (!_reads) return matrix;
        var chunks = (matrix.Rows + RowsPerChunk - 1) / RowsPerChunk;
        _team.Run(worker =>
        {
            var loop = worker.Loop(chunks);
            while (loop.TryNext(out var chunk))
            {
                var first = chunk * RowsPerChunk;
                matrix.PackRows(first, _checkpoint.Bytes(view, first, Math.Min(RowsPerChunk, matrix.Rows - first)));
            }
        });
        _checkpoint.Release(view);
        return matrix;
    }

    private float[] Vector(TensorView? view, float offset = 0)
    {
        if (view is not { } tensor) return [];
        var values = new float[tensor.Rows * tensor.Columns];
        var row = (int)tensor.Columns;
        for (var i = 0; i < tensor.Rows; i++)
            Dequantizer.Row((WeightFormat)tensor.Type, _checkpoint.Bytes(tensor, i, 1), values.AsSpan(i * row, row));
        if (offset != 0)
            for (var i = 0; i < values.Length; i++) values[i] += offset;
        return values;
    }

    private static long PackedBytes(TensorView view) =>
        (WeightMatrix.PackedBytes((WeightFormat)view.Type, checked((int)view.Rows), checked((int)view.Columns)) + Alignment - 1) / Alignment * Alignment;

    /// <summary>Each matrix once: a tied output is the embedding.</summary>
    private static IEnumerable<TensorView> Matrices(ModelTensors tensors) =>
        tensors.Layers.SelectMany(layer => (TensorView[])[layer.Query, layer.Key, layer.Value, layer.AttentionOutput, layer.Gate!.Value, layer.Up, layer.Down])
            .Prepend(tensors.TokenEmbedding).Append(tensors.Output).Distinct();
}
