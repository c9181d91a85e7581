using System.Runtime.CompilerServices;
using Kvasir.Checkpoints;

namespace Kvasir.Planning.Weights;

/// <summary>Every matrix and vector of a model, from its shapes alone (memory model, §1.2).</summary>
public static class WeightInventory
{
    /// <summary>The layer index of what stands before the first layer.</summary>
    public const int Before = -1;
    /// <summary>The layer index of what stands after the last layer.</summary>
    public const int After = -2;

    /// <summary>Lists the parts in the order of the layers; a tied output projection is not listed.</summary>
    public static IReadOnlyList<WeightPart> Of(ModelSpec model) => Known.GetValue(model, List);

    // A search over GPUs and splits asks for the same model thousands of times.
    private static readonly ConditionalWeakTable<ModelSpec, IReadOnlyList<WeightPart>> Known = [];

    private static IReadOnlyList<WeightPart> List(ModelSpec model)
    {
        var parts = new List<WeightPart>();
        int h = model.HiddenSize, norm = model.Norm.Kind == NormKind.Layer ? 2 : 1;
        parts.Add(new(Before, "token_embd", WeightRole.Embedding, Sharding.Vocabulary, h, model.VocabularySize));
        if (model.PositionRows > 0) parts.Add(new(Before, "position_embd", WeightRole.Small, Sharding.Replicated, h, model.PositionRows, Matrix: false));
        if (model.TokenTypeRows > 0) parts.Add(new(Before, "token_types", WeightRole.Small, Sharding.Replicated, h, model.TokenTypeRows, Matrix: false));
        if (model.EncoderOnly) Vector(parts, Before, "token_embd_norm", h * norm);
        for (var index = 0; index < model.Layers.Length; index++) AddLayer(parts, model, model.Layers[index], index, norm);
        if (!model.EncoderOnly)
        {
            Vector(parts, After, "output_norm", h * norm);
            if (!model.TiedEmbeddings) parts.Add(new(After, "output", WeightRole.Output, Sharding.Vocabulary, h, model.VocabularySize));
        }
        if (model.EncoderParameters > 0) parts.Add(new(Before, "encoder", WeightRole.Encoder, Sharding.Encoder, model.EncoderParameters, 1, Matrix: false));
        return parts;
    }

    /// <summary>The parts of the extra prediction layers (MTP), which are loaded for speculative decoding alone: each is a
    /// layer like the last, two norms and a projection more, and embedding and output of its own.</summary>
    public static IReadOnlyList<WeightPart> OfPrediction(ModelSpec model)
    {
        var parts = new List<WeightPart>();
        int h = model.HiddenSize;
        for (var index = 0; index < model.PredictionLayers; index++)
        {
            AddLayer(parts, model, model.Layers[^1], model.Layers.Length + index, 1);
            parts.Add(new(After, "nextn.eh_proj", WeightRole.Small, Sharding.Replicated, 2 * h, h));
            Vector(parts, After, "nextn.norms", 3 * h);
            parts.Add(new(After, "nextn.embed_tokens", WeightRole.Embedding, Sharding.Vocabulary, h, model.VocabularySize));
            parts.Add(new(After, "nextn.shared_head", WeightRole.Output, Sharding.Vocabulary, h, model.VocabularySize));
        }
        return parts;
    }

    /// <summary>Parameters of the whole model without prediction layers.</summary>
    public static long Parameters(ModelSpec model) => Of(model).Sum(part => part.Parameters);

    private static void AddLayer(List<WeightPart> parts, ModelSpec model, LayerSpec layer, int index, int norm)
    {
        int h = model.HiddenSize;
        var norms = layer.Parallel && !layer.SeparateParallelNorms || layer.FeedForward is null || layer.Mixer is NoMixerSpec ? 1 : 2;
        if (layer.PostMixerNorm) norms++;
        if (layer.PostFeedForwardNorm) norms++;
        Vector(parts, index, "norms", (long)norms * norm * h);
        switch (layer.Mixer)
        {
            case AttentionSpec attention: AddAttention(parts, attention, h, index); break;
            case LatentAttentionSpec latent: AddLatent(parts, latent, h, index); break;
            case MambaSpec mamba: AddMamba(parts, mamba, h, index); break;
            case GatedDeltaNetSpec delta: AddDelta(parts, delta, h, index); break;
            case CrossAttentionSpec cross:
                Matrix(parts, index, "attn_q", WeightRole.Attention, Sharding.Output, h, (long)cross.Heads * cross.HeadSize);
                Matrix(parts, index, "attn_k", WeightRole.Attention, Sharding.KeyValueHeads, h, (long)cross.KeyValueHeads * cross.HeadSize);
                Matrix(parts, index, "attn_v", WeightRole.Attention, Sharding.KeyValueHeads, h, (long)cross.KeyValueHeads * cross.HeadSize);
                Matrix(parts, index, "attn_output", WeightRole.Attention, Sharding.Input, (long)cross.Heads * cross.HeadSize, h);
                Vector(parts, index, "attn_qk_norm", (2L * cross.HeadSize) + 2);
                break;
            case ShortConvolutionSpec convolution:
                Matrix(parts, index, "shortconv.in_proj", WeightRole.Recurrent, Sharding.Output, h, 3L * h);
                Matrix(parts, index, "shortconv.out_proj", WeightRole.Recurrent, Sharding.Input, h, h);
                Vector(parts, index, "shortconv.conv", (long)h * convolution.ConvolutionWidth, Sharding.Output);
                break;
        }
        if (layer.FeedForward is DenseFeedForwardSpec dense) AddDense(parts, dense, h, index);
        if (layer.FeedForward is ExpertFeedForwardSpec experts) AddExperts(parts, experts, h, index);
    }

    private static void AddAttention(List<WeightPart> parts, AttentionSpec a, int h, int layer)
    {
        long q = (long)a.Heads * a.HeadSize, k = (long)a.KeyValueHeads * a.HeadSize, v = (long)a.KeyValueHeads * a.ValueHeadSize;
        var owns = a.SharesKeyValuesOfLayer is null;
        Matrix(parts, layer, "attn_q", WeightRole.Attention, Sharding.Output, h, a.OutputGate ? 2 * q : q);
        if (owns) Matrix(parts, layer, "attn_k", WeightRole.Attention, Sharding.KeyValueHeads, h, k);
        if (owns && !a.KeysAreValues) Matrix(parts, layer, "attn_v", WeightRole.Attention, Sharding.KeyValueHeads, h, v);
        Matrix(parts, layer, "attn_output", WeightRole.Attention, Sharding.Input, (long)a.Heads * a.ValueHeadSize, h);
        if (a.QkvBias) Vector(parts, layer, "attn_bias", q + k + v, Sharding.Output);
        if (a.OutputBias) Vector(parts, layer, "attn_output_bias", h);
        if (a.QkNorm) Vector(parts, layer, "attn_qk_norm", a.QkNormOverAllHeads ? q + k : 2L * a.HeadSize);
        if (a.Sinks) Vector(parts, layer, "attn_sinks", a.Heads, Sharding.Output);
    }

    private static void AddLatent(List<WeightPart> parts, LatentAttentionSpec a, int h, int layer)
    {
        long query = (long)a.Heads * (a.NopeHeadSize + a.RopeHeadSize);
        if (a.QueryRank is { } rank)
        {
            Matrix(parts, layer, "attn_q_a", WeightRole.Attention, Sharding.Replicated, h, rank);
            Vector(parts, layer, "attn_q_a_norm", rank);
            Matrix(parts, layer, "attn_q_b", WeightRole.Attention, Sharding.Output, rank, query);
        }
        else
        {
            Matrix(parts, layer, "attn_q", WeightRole.Attention, Sharding.Output, h, query);
        }
        Matrix(parts, layer, "attn_kv_a_mqa", WeightRole.Attention, Sharding.Replicated, h, a.KeyValueRank + a.RopeHeadSize);
        Vector(parts, layer, "attn_kv_a_norm", a.KeyValueRank);
        Matrix(parts, layer, "attn_kv_b", WeightRole.Attention, Sharding.Output, a.KeyValueRank, (long)a.Heads * (a.NopeHeadSize + a.ValueHeadSize));
        Matrix(parts, layer, "attn_output", WeightRole.Attention, Sharding.Input, (long)a.Heads * a.ValueHeadSize, h);
        if (a.IndexerHeadSize is not { } size) return;
        Matrix(parts, layer, "indexer.attn_q_b", WeightRole.Attention, Sharding.Replicated, a.QueryRank ?? h, (long)a.IndexerHeads * size);
        Matrix(parts, layer, "indexer.attn_k", WeightRole.Attention, Sharding.Replicated, h, size);
        Vector(parts, layer, "indexer.k_norm", 2L * size);
        Matrix(parts, layer, "indexer.proj", WeightRole.Small, Sharding.Replicated, h, a.IndexerHeads);
    }

    private static void AddMamba(List<WeightPart> parts, MambaSpec m, int h, int layer)
    {
        if (m.Version == 1)
        {
            Matrix(parts, layer, "ssm_in", WeightRole.Recurrent, Sharding.Output, h, 2L * m.InnerSize);
            Vector(parts, layer, "ssm_conv1d", (long)m.InnerSize * (m.ConvolutionWidth + 1), Sharding.Output);
            Matrix(parts, layer, "ssm_x", WeightRole.Recurrent, Sharding.Input, m.InnerSize, m.TimeStepRank + (2L * m.StateSize));
            Matrix(parts, layer, "ssm_dt", WeightRole.Recurrent, Sharding.Output, m.TimeStepRank + 1, m.InnerSize);
            Vector(parts, layer, "ssm_a", (long)m.InnerSize * (m.StateSize + 1), Sharding.Output);
        }
        else
        {
            long channels = m.InnerSize + (2L * m.Groups * m.StateSize);
            Matrix(parts, layer, "ssm_in", WeightRole.Recurrent, Sharding.Output, h, m.InnerSize + channels + m.Heads);
            Vector(parts, layer, "ssm_conv1d", channels * (m.ConvolutionWidth + 1), Sharding.Output);
            Vector(parts, layer, "ssm_a", (3L * m.Heads) + m.InnerSize, Sharding.Output);
        }
        Matrix(parts, layer, "ssm_out", WeightRole.Recurrent, Sharding.Input, m.InnerSize, h);
    }

    private static void AddDelta(List<WeightPart> parts, GatedDeltaNetSpec d, int h, int layer)
    {
        long key = (long)d.KeyHeads * d.KeyHeadSize, value = (long)d.ValueHeads * d.ValueHeadSize;
        Matrix(parts, layer, "ssm_in", WeightRole.Recurrent, Sharding.Output, h, (2 * key) + (2 * value));
        Matrix(parts, layer, "ssm_ba", WeightRole.Recurrent, Sharding.Output, h, 2L * d.ValueHeads);
        Vector(parts, layer, "ssm_conv1d", ((2 * key) + value) * d.ConvolutionWidth, Sharding.Output);
        Vector(parts, layer, "ssm_a", 2L * d.ValueHeads, Sharding.Output);
        Vector(parts, layer, "ssm_norm", d.ValueHeadSize);
        Matrix(parts, layer, "ssm_out", WeightRole.Recurrent, Sharding.Input, value, h);
    }

    private static void AddDense(List<WeightPart> parts, DenseFeedForwardSpec f, int h, int layer)
    {
        if (f.IntermediateSize == 0) return;
        if (f.Gated) Matrix(parts, layer, "ffn_gate", WeightRole.FeedForward, Sharding.Output, h, f.IntermediateSize);
        Matrix(parts, layer, "ffn_up", WeightRole.FeedForward, Sharding.Output, h, f.IntermediateSize);
        Matrix(parts, layer, "ffn_down", WeightRole.FeedForward, Sharding.Input, f.IntermediateSize, h);
        if (f.Bias) Vector(parts, layer, "ffn_bias", (f.Gated ? 2L : 1L) * f.IntermediateSize + h);
    }

    private static void AddExperts(List<WeightPart> parts, ExpertFeedForwardSpec f, int h, int layer)
    {
        long width = f.ExpertIntermediateSize;
        if (f.Gated) parts.Add(new(layer, "ffn_gate_exps", WeightRole.Expert, Sharding.Experts, h, width, f.Experts));
        parts.Add(new(layer, "ffn_up_exps", WeightRole.Expert, Sharding.Experts, h, width, f.Experts));
        parts.Add(new(layer, "ffn_down_exps", WeightRole.Expert, Sharding.Experts, width, h, f.Experts));
        parts.Add(new(layer, "ffn_gate_inp", WeightRole.Small, Sharding.Replicated, h, f.Experts));
        if (f.Bias) parts.Add(new(layer, "ffn_exps_bias", WeightRole.Small, Sharding.Experts, (f.Gated ? 2 : 1) * width + h, 1, f.Experts, Matrix: false));
        if (f.Bias) Vector(parts, layer, "ffn_gate_inp_bias", f.Experts);
        else if (f.RouterBias) Vector(parts, layer, "exp_probs_b", f.Experts);
        if (f.SharedIntermediateSize > 0)
        {
            if (f.Gated) Matrix(parts, layer, "ffn_gate_shexp", WeightRole.FeedForward, Sharding.Output, h, f.SharedIntermediateSize);
            Matrix(parts, layer, "ffn_up_shexp", WeightRole.FeedForward, Sharding.Output, h, f.SharedIntermediateSize);
            Matrix(parts, layer, "ffn_down_shexp", WeightRole.FeedForward, Sharding.Input, f.SharedIntermediateSize, h);
        }
        if (f.SharedGate) Vector(parts, layer, "ffn_gate_inp_shexp", h);
    }

    private static void Matrix(List<WeightPart> parts, int layer, string name, WeightRole role, Sharding sharding, long inputs, long outputs) =>
        parts.Add(new(layer, name, role, sharding, inputs, outputs));

    private static void Vector(List<WeightPart> parts, int layer, string name, long length, Sharding sharding = Sharding.Replicated) =>
        parts.Add(new(layer, name, WeightRole.Small, sharding, length, 1, Matrix: false));
}
