using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Kvasir.Checkpoints;

namespace Kvasir.Planning.Weights;

/// <summary>What a step reads and multiplies: everything but the token embedding and other towers; of experts, those that its tokens choose.</summary>
public sealed record WeightTraffic
{
    private sealed record Experts(int Count, int PerToken, double Bytes, double Parameters);

    private static readonly ConditionalWeakTable<ModelSpec, Dictionary<Quantization, WeightTraffic>> Known = [];

    private readonly double _bytes, _parameters;
    private readonly ImmutableArray<Experts> _experts;

    private WeightTraffic(ModelSpec model, Quantization quantization)
    {
        var experts = new Dictionary<(int, int), Experts>();
        foreach (var part in WeightInventory.Of(model))
        {
            if (part.Role is WeightRole.Embedding or WeightRole.Encoder) continue;
            double bytes = ShardedWeights.Bytes(part, quantization, model.Layers.Length), parameters = part.Parameters;
            if (part.Role == WeightRole.Expert && part.Layer >= 0 && part.Layer < model.Layers.Length && model.Layers[part.Layer].FeedForward is ExpertFeedForwardSpec spec)
            {
                var known = experts.GetValueOrDefault((spec.Experts, spec.ExpertsPerToken)) ?? new(spec.Experts, spec.ExpertsPerToken, 0, 0);
                experts[(spec.Experts, spec.ExpertsPerToken)] = known with { Bytes = known.Bytes + bytes, Parameters = known.Parameters + parameters };
                continue;
            }
            _bytes += bytes;
            _parameters += parameters;
        }
        // A tied table is read for the output.
        var output = model.TiedEmbeddings ? (double)model.VocabularySize * model.HiddenSize : 0;
        _bytes += 2 * output;
        _parameters += output;
        _experts = [.. experts.Values];
    }

    /// <summary>The traffic of a model in a quantization.</summary>
    public static WeightTraffic Of(ModelSpec model, Quantization quantization)
    {
        var known = Known.GetOrCreateValue(model);
        lock (known)
        {
            if (!known.TryGetValue(quantization, out var traffic)) known[quantization] = traffic = new WeightTraffic(model, quantization);
            return traffic;
        }
    }

    /// <summary>Bytes that a batch of so many tokens reads.</summary>
    public double Bytes(int tokens) => _bytes + _experts.Sum(e => e.Bytes * (1 - Math.Pow(1 - ((double)e.PerToken / e.Count), tokens)));

    /// <summary>Bytes of everything.</summary>
    public double AllBytes => _bytes + _experts.Sum(e => e.Bytes);

    /// <summary>Parameters that one token is multiplied with.</summary>
    public double ActiveParameters => _parameters + _experts.Sum(e => e.Parameters * e.PerToken / e.Count);
}
