using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;
using Kvasir.Checkpoints.Families;
using Kvasir.Checkpoints.Gguf;
using Kvasir.Checkpoints.HuggingFace;

namespace Kvasir.Checkpoints;

/// <summary>Reads a <see cref="ModelSpec"/> from a configuration alone: shapes, no weights.</summary>
public static class ModelSpecReader
{
    private static readonly ImmutableArray<ModelFamily> Families = [.. DenseFamilies.All];

    private static readonly FrozenDictionary<string, ModelFamily> ByHuggingFaceType =
        Families.SelectMany(f => f.HuggingFaceTypes.Select(name => (name, f))).ToFrozenDictionary(p => p.name, p => p.f);

    private static readonly FrozenDictionary<string, ModelFamily> ByGgufArchitecture =
        Families.SelectMany(f => f.GgufArchitectures.Select(name => (name, f))).ToFrozenDictionary(p => p.name, p => p.f);

    /// <summary>Every model_type of config.json and every general.architecture of GGUF that the engine can run.</summary>
    public static IReadOnlyList<string> KnownArchitectures { get; } =
        [.. ByHuggingFaceType.Keys.Concat(ByGgufArchitecture.Keys).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>Every model_type whose shapes can be read, whether the engine runs it or not.</summary>
    public static IReadOnlyList<string> PlannedArchitectures { get; } =
        [.. ByHuggingFaceType.Keys.Concat(ModelShapes.Families).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>
    /// Reads a config.json, of models that the engine runs and of those that can only be planned (mixtures of experts,
    /// latent attention, hybrids); of a multimodal model the text part, and its towers as a number of parameters.
    /// </summary>
    /// <param name="config">The file's root object.</param>
    /// <param name="source">The file's name, for messages.</param>
    /// <exception cref="CheckpointException">The model's type is unknown, or a field is missing or wrong.</exception>
    public static ModelSpec FromConfig(JsonElement config, string source = "config.json")
    {
        var fields = Text(new ConfigFields(config, source));
        var spec = fields.Text("model_type") is { } type && ByHuggingFaceType.TryGetValue(type, out var family)
            ? family.FromConfig(fields)
            : ModelShapes.FromConfig(config, source);
        return EncoderShapes.AddTo(spec, config);
    }

    /// <summary>Reads a configuration as if it named the runnable family <paramref name="type"/>, whose shapes it shares.</summary>
    internal static ModelSpec FromConfigOfType(string type, ConfigFields fields) => ByHuggingFaceType[type].FromConfig(Text(fields));

    /// <summary>Reads GGUF metadata, of models that the engine runs and of those that can only be planned. What only tensors tell (biases, tied embeddings, Llama 3's rotary factors) is as the family usually has it.</summary>
    /// <exception cref="CheckpointException">The architecture is unknown, or a key is missing or wrong.</exception>
    public static ModelSpec FromGguf(GgufMetadata metadata)
    {
        var model = new GgufModel(metadata, ImmutableDictionary<string, TensorEntry>.Empty, _ => default);
        return GgufShapes.Knows(model) ? GgufShapes.Read(model) : FromGguf(model).Spec;
    }

    internal static (ModelFamily Family, ConfigFields Fields) Find(JsonElement config, string source)
    {
        var fields = Text(new ConfigFields(config, source));
        var type = fields.Text("model_type") ?? throw new CheckpointException($"{source} lacks \"model_type\", so what model it is cannot be known.");
        return ByHuggingFaceType.TryGetValue(type, out var family) ? (family, fields) : throw Unknown(type, source);
    }

    private static ConfigFields Text(ConfigFields fields)
    {
        var inner = fields.Object("text_config") is { } text ? new ConfigFields(text, fields.Source).Text("model_type") : null;
        var known = (inner is not null && ByHuggingFaceType.ContainsKey(inner))
            || (fields.Has("text_config") && fields.Text("model_type") is { } outer && ByHuggingFaceType.ContainsKey(outer));
        return known ? fields.Inside("text_config") : fields;
    }

    internal static (ModelFamily Family, ModelSpec Spec) FromGguf(GgufModel model)
    {
        if (!ByGgufArchitecture.TryGetValue(model.Architecture, out var family) || family.FromGguf is null) throw Unknown(model.Architecture, model.Source);
        return (family, family.FromGguf(model));
    }

    private static CheckpointException Unknown(string architecture, string source) =>
        new($"{source}: the architecture \"{architecture}\" is not known. Known are {string.Join(", ", KnownArchitectures)}.");
}
