using Kvasir.Checkpoints;
using Kvasir.Engine.KvCache;
using Kvasir.Kernels;

namespace Kvasir.Engine.Model;

/// <summary>One layer: attention over paged keys and values, then a gated feed-forward network, each with its norms.</summary>
internal sealed class DecoderLayer
{
    private readonly NormSpec _norm;
    private readonly LayerWeights _weights;
    private readonly AttentionSpec _attention;
    private readonly AttentionShape _shape;
    private readonly GateFunction _gate;
    private readonly LayerKv _kv;
    private readonly DecoderBuffers _buffers;
    private readonly RopeTable? _rope;
    private readonly Kernels.RopePairing _pairing;
    private readonly float _residualScale;
    private readonly ActivationForms _qkvForms;
    private readonly ActivationForms _gateUpForms;
    private readonly int _feedForwardSize;

    public DecoderLayer(ModelSpec model, LayerSpec layer, LayerWeights weights, LayerKv kv, DecoderBuffers buffers, RopeTables ropes)
    {
        (_norm, _weights, _kv, _buffers, _residualScale) = (model.Norm, weights, kv, buffers, model.ResidualScale);
        _attention = (AttentionSpec)layer.Mixer;
        _shape = new AttentionShape(_attention.Heads, _attention.Scale, _attention.SlidingWindow ?? 0, _attention.ScoreSoftcap ?? 0);
        _rope = ropes.For(_attention.Rope);
        _pairing = _attention.Rope?.Pairing == Checkpoints.RopePairing.Adjacent ? Kernels.RopePairing.Adjacent : Kernels.RopePairing.Halves;
        var feedForward = (DenseFeedForwardSpec)layer.FeedForward!;
        _feedForwardSize = feedForward.IntermediateSize;
        _gate = feedForward.Activation switch
        {
            Activation.Silu => GateFunction.Silu,
            Activation.GeluTanh => GateFunction.GeluTanh,
            _ => GateFunction.GeluErf,
        };
        _qkvForms = weights.Query.Needs | weights.Key.Needs | weights.Value.Needs;
        _gateUpForms = weights.Gate.Needs | weights.Up.Needs;
    }

    public void Run(Worker worker, Step step, FloatMatrix hidden)
    {
        var normed = _buffers.Normed.Top(step.Count);
        Decoder.Normalize(worker, _norm, hidden, _weights.MixerNorm, _weights.MixerNormBias, normed);
        Attend(worker, step, normed);
        var delta = _buffers.Delta.Top(step.Count);
        AddTo(worker, hidden, delta, _weights.AttentionOutputBias, _weights.PostMixerNorm);
        Decoder.Normalize(worker, _norm, hidden, _weights.FeedForwardNorm, _weights.FeedForwardNormBias, normed);
        FeedForward(worker, step, normed);
        AddTo(worker, hidden, delta, _weights.DownBias, _weights.PostFeedForwardNorm);
    }

    /// <summary>Leaves the attention's output projection in the delta buffer, behind a barrier.</summary>
    private void Attend(Worker worker, Step step, FloatMatrix normed)
    {
        var (query, key, value) = (_buffers.Query(_attention, step.Count), _buffers.Key(_attention, step.Count), _buffers.Value(_attention, step.Count));
        Prepare(worker, normed, _qkvForms);
        MatrixProduct.Multiply(worker, _weights.Query, _buffers.Activations, query);
        MatrixProduct.Multiply(worker, _weights.Key, _buffers.Activations, key);
        MatrixProduct.Multiply(worker, _weights.Value, _buffers.Activations, value);
        worker.Barrier();
        AddBias(worker, query, _weights.QueryBias);
        AddBias(worker, key, _weights.KeyBias);
        AddBias(worker, value, _weights.ValueBias);
        if (_weights.QueryNorm.Length > 0) Norm.RmsHeads(worker, query, _attention.HeadSize, _weights.QueryNorm, _norm.Epsilon);
        if (_weights.KeyNorm.Length > 0) Norm.RmsHeads(worker, key, _attention.HeadSize, _weights.KeyNorm, _norm.Epsilon);
        if (_rope is not null)
        {
            Rope.Apply(worker, query, _attention.HeadSize, _rope, _pairing);
            Rope.Apply(worker, key, _attention.HeadSize, _rope, _pairing);
        }
        _kv.Pool.Write(worker, key, value, step.Slots(_kv.Group));
        worker.Barrier();
        var attended = _buffers.Attended(_attention, step.Count);
        PagedAttention.Attend(worker, _shape, _kv.Pool, query, step.Spans, step.Tables(_kv.Group), attended);
        worker.Barrier();
        Prepare(worker, attended, _weights.AttentionOutput.Needs);
        MatrixProduct.Multiply(worker, _weights.AttentionOutput, _buffers.Activations, _buffers.Delta.Top(step.Count));
        worker.Barrier();
    }

    /// <summary>Leaves the down projection in the delta buffer, behind a barrier.</summary>
    private void FeedForward(Worker worker, Step step, FloatMatrix normed)
    {
        var (gate, up) = (_buffers.Gate(_feedForwardSize, step.Count), _buffers.Up(_feedForwardSize, step.Count));
        Prepare(worker, normed, _gateUpForms);
        MatrixProduct.Multiply(worker, _weights.Gate, _buffers.Activations, gate);
        MatrixProduct.Multiply(worker, _weights.Up, _buffers.Activations, up);
        worker.Barrier();
        AddBias(worker, gate, _weights.GateBias);
        AddBias(worker, up, _weights.UpBias);
        if (_weights.GateBias.Length > 0 || _weights.UpBias.Length > 0) worker.Barrier();
        Elementwise.Gate(worker, _gate, gate, up);
        worker.Barrier();
        Prepare(worker, gate, _weights.Down.Needs);
        MatrixProduct.Multiply(worker, _weights.Down, _buffers.Activations, _buffers.Delta.Top(step.Count));
        worker.Barrier();
    }

    private void Prepare(Worker worker, FloatMatrix x, ActivationForms forms)
    {
        _buffers.Activations.Prepare(worker, x, forms);
        worker.Barrier();
    }

    /// <summary>hidden += scale · norm(delta + bias), each token by the worker whose share it is.</summary>
    private void AddTo(Worker worker, FloatMatrix hidden, FloatMatrix delta, float[] bias, float[] postNorm)
    {
        AddBias(worker, delta, bias);
        if (postNorm.Length > 0) Norm.Rms(worker, delta, postNorm, _norm.Epsilon, delta);
        if (_residualScale != 1) Elementwise.Scale(worker, delta, _residualScale);
        var (first, count) = worker.Share(hidden.Rows);
        for (var token = first; token < first + count; token++)
            System.Numerics.Tensors.TensorPrimitives.Add<float>(hidden.Row(token), delta.Row(token), hidden.Row(token));
    }

    private static void AddBias(Worker worker, FloatMatrix x, float[] bias)
    {
        if (bias.Length > 0) Elementwise.AddBias(worker, x, bias);
    }
}
