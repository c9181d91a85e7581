using System.Collections.Immutable;
using Kvasir.Checkpoints;
using Kvasir.Engine.KvCache;
using Kvasir.Kernels;

namespace Kvasir.Engine.Model;

/// <summary>
/// The forward pass of every dense family: layers composed as <see cref="ModelSpec"/> says. A whole step runs inside one
/// <see cref="WorkerTeam.Run"/>; a barrier stands wherever one worker reads what another wrote.
/// </summary>
/// <remarks>Norms, biases, RoPE and residual additions share tokens among workers in the same way, so they need none between them.</remarks>
internal sealed class Decoder : IDisposable
{
    private readonly ModelSpec _spec;
    private readonly ModelWeights _weights;
    private readonly WorkerTeam _team;
    private readonly DecoderLayer[] _layers;
    private readonly RopeTables _ropes;
    private readonly DecoderBuffers _buffers;
    private readonly Action<Worker> _forward;
    private readonly Action<Worker> _project;
    private Step _step = new(0, 0);
    private int _firstLogit;

    public Decoder(ModelSpec spec, ModelWeights weights, ImmutableArray<LayerKv> layers, WorkerTeam team, DecoderBuffers buffers, int contextTokens)
    {
        (_spec, _weights, _team, _buffers) = (spec, weights, team, buffers);
        _ropes = new RopeTables(spec, contextTokens, buffers.MaxTokens);
        _layers = new DecoderLayer[spec.Layers.Length];
        for (var i = 0; i < _layers.Length; i++)
            _layers[i] = new DecoderLayer(spec, spec.Layers[i], weights.Layers[i], layers[i], buffers, _ropes);
        _forward = Forward;
        _project = Project;
    }

    private Decoder(Decoder other, ImmutableArray<LayerKv> layers)
    {
        (_spec, _weights, _team, _buffers, _ropes) = (other._spec, other._weights, other._team, other._buffers, other._ropes);
        _layers = [.. layers.Select((kv, i) => new DecoderLayer(_spec, _spec.Layers[i], _weights.Layers[i], kv, _buffers, _ropes))];
        _forward = Forward;
        _project = Project;
    }

    /// <summary>The same over other keys and values; buffers stay this one's, so that only one of the two may run at a time.</summary>
    public Decoder Over(ImmutableArray<LayerKv> layers) => new(this, layers);

    /// <summary>Computes a step up to the final norm of the rows whose logits are wanted.</summary>
    public void Run(Step step)
    {
        _step = step;
        _team.Run(_forward);
    }

    /// <summary>Logits [rows, vocabulary] of wanted rows [first, first + the buffers' logit rows) of the last step.</summary>
    public FloatMatrix Logits(int first)
    {
        _firstLogit = first;
        _team.Run(_project);
        return _buffers.Logits.Top(Math.Min(_buffers.MaxLogitRows, _step.LogitCount - first));
    }

    public void Dispose() => _buffers.Dispose();

    private void Forward(Worker worker)
    {
        var hidden = _buffers.Hidden.Top(_step.Count);
        Embed(worker, hidden);
        _ropes.Fill(worker, _step.Positions);
        worker.Barrier();
        foreach (var layer in _layers) layer.Run(worker, _step, hidden);
        worker.Barrier();
        // Only wanted rows go on: each worker gathers and normalizes its share.
        var wanted = _step.LogitRows;
        var normed = _buffers.Normed.Top(wanted.Length);
        var (first, count) = worker.Share(wanted.Length);
        for (var i = first; i < first + count; i++) hidden.Row(wanted[i]).CopyTo(normed.Row(i));
        Normalize(worker, _spec.Norm, normed, _weights.FinalNorm, _weights.FinalNormBias, normed);
    }

    private void Embed(Worker worker, FloatMatrix hidden)
    {
        var (first, count) = worker.Share(_step.Count);
        for (var i = first; i < first + count; i++) _weights.Embedding.ReadRow(_step.Tokens[i], hidden.Row(i));
        if (_spec.EmbeddingScale != 1) Elementwise.Scale(worker, hidden, _spec.EmbeddingScale);
    }

    private void Project(Worker worker)
    {
        var rows = Math.Min(_buffers.MaxLogitRows, _step.LogitCount - _firstLogit);
        var logits = _buffers.Logits.Top(rows);
        _buffers.Activations.Prepare(worker, _buffers.Normed.SliceRows(_firstLogit, rows), _weights.Output.Needs);
        worker.Barrier();
        MatrixProduct.Multiply(worker, _weights.Output, _buffers.Activations, logits);
        worker.Barrier();
        if (_weights.OutputBias.Length > 0) Elementwise.AddBias(worker, logits, _weights.OutputBias);
        if (_spec.LogitScale != 1) Elementwise.Scale(worker, logits, _spec.LogitScale);
        if (_spec.LogitSoftcap is not { } cap) return;
        worker.Barrier();
        Elementwise.SoftCap(worker, logits, cap);
    }

    internal static void Normalize(Worker worker, NormSpec norm, FloatMatrix x, float[] weight, float[] bias, FloatMatrix output)
    {
        if (norm.Kind == NormKind.Rms) Norm.Rms(worker, x, weight, norm.Epsilon, output);
        else Norm.Layer(worker, x, weight, bias, norm.Epsilon, output);
    }
}
