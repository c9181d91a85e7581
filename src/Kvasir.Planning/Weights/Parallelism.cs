using Kvasir.Checkpoints;

namespace Kvasir.Planning.Weights;

/// <summary>How a model is spread over GPUs.</summary>
/// <param name="Tensor">Ranks that share each layer.</param>
/// <param name="Pipeline">Stages that each hold some layers.</param>
/// <param name="Experts">Whether whole experts are placed on ranks instead of parts of each.</param>
/// <param name="Data">Ranks with attention of their own (data-parallel attention); 1 for none.</param>
public sealed record Parallelism(int Tensor = 1, int Pipeline = 1, bool Experts = false, int Data = 1)
{
    /// <summary>GPUs in all.</summary>
    public int Gpus => Tensor * Pipeline * Data;

    /// <summary>Why the model cannot be divided so, with what to change; null when it can.</summary>
    public string? Obstacle(ModelSpec model, Quantization quantization)
    {
        if (Tensor < 1 || Pipeline < 1 || Data < 1) return $"Tensor, pipeline and data parallelism must be at least 1; {Tensor}, {Pipeline} and {Data} were given.";
        if (Pipeline > model.Layers.Length) return $"{model.Name} has {model.Layers.Length} layers, fewer than {Pipeline} pipeline stages; use at most {model.Layers.Length}.";
        if (Tensor == 1) return null;
        foreach (var heads in model.Layers.Select(layer => Heads(layer.Mixer)).Where(heads => heads > 0).Distinct())
            if (heads % Tensor != 0)
                return $"Tensor parallelism {Tensor} does not divide the {heads} attention heads of {model.Name}; use {string.Join(", ", Divisors(heads))}.";
        foreach (var mixer in model.Layers.Select(layer => layer.Mixer).OfType<AttentionSpec>().Distinct())
            if (mixer.KeyValueHeads % Tensor != 0 && Tensor % mixer.KeyValueHeads != 0)
                return $"Tensor parallelism {Tensor} neither divides nor is a multiple of the {mixer.KeyValueHeads} key/value heads of {model.Name}.";
        if (WeightFormats.Ceiling(model.VocabularySize, 64) * 64 % Tensor != 0)
            return $"The vocabulary of {model.VocabularySize} (padded to a multiple of 64) is not divisible by tensor parallelism {Tensor}.";
        return FeedForwardObstacle(model, quantization);
    }

    private string? FeedForwardObstacle(ModelSpec model, Quantization quantization)
    {
        foreach (var feedForward in model.Layers.Select(layer => layer.FeedForward).Distinct())
        {
            var width = feedForward switch
            {
                DenseFeedForwardSpec dense => dense.IntermediateSize,
                ExpertFeedForwardSpec expert when !Experts => expert.ExpertIntermediateSize,
                _ => 0,
            };
            if (width == 0) continue;
            if (width % Tensor != 0) return $"The feed-forward width {width} of {model.Name} is not divisible by tensor parallelism {Tensor}.";
            var group = quantization.Format.GroupSize();
            var reached = feedForward is ExpertFeedForwardSpec || !quantization.ExpertsOnly;
            if (quantization.Gguf is null && reached && group == 128 && width % group == 0 && width / Tensor % group != 0)
                return $"Tensor parallelism {Tensor} cuts the quantization groups of {group}: {width} / {Tensor} = {width / Tensor}" +
                    (feedForward is ExpertFeedForwardSpec ? "; use expert parallelism (--ep) or a smaller --tp." : "; use a smaller --tp.");
        }
        if (Experts && model.Layers.Select(layer => layer.FeedForward).OfType<ExpertFeedForwardSpec>().FirstOrDefault() is { } experts && experts.Experts % (Tensor * Data) != 0)
            return $"{experts.Experts} experts cannot be placed evenly on {Tensor * Data} ranks.";
        return null;
    }

    /// <summary>First layer of each stage and one past the last: vLLM gives a remainder to the stages before the last.</summary>
    public IReadOnlyList<(int First, int End)> Stages(int layers)
    {
        var counts = Enumerable.Repeat(layers / Pipeline, Pipeline).ToArray();
        var rest = layers % Pipeline;
        for (var index = 0; index < rest; index++) counts[Math.Max(0, Pipeline - 2 - index)]++;
        var stages = new List<(int, int)>();
        var first = 0;
        foreach (var count in counts) stages.Add((first, first += count));
        return stages;
    }

    private static int Heads(MixerSpec mixer) => mixer switch
    {
        AttentionSpec attention => attention.Heads,
        LatentAttentionSpec latent => latent.Heads,
        CrossAttentionSpec cross => cross.Heads,
        _ => 0,
    };

    private static IEnumerable<int> Divisors(int heads) => Enumerable.Range(1, Math.Min(heads, 64)).Where(n => heads % n == 0);
}
