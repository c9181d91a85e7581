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

    /// <summary>Every model_type of config.json and every general.architecture of GGUF that is known.</summary>
    public static IReadOnlyList<string> KnownArchitectures { get; } =
        [.. ByHuggingFaceType.Keys.Concat(ByGgufArchitecture.Keys).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>Reads a config.json; a multimodal model's is read for its text part.</summary>
    /// <param name="config">The file's root object.</param>
    /// <param name="source">The file's name, for messages.</param>
    /// <exception cref="CheckpointException">The model's type is unknown, or a field is missing or wrong.</exception>
    public static ModelSpec FromConfig(JsonElement config, string source = "config.json")
    {
        var (family, fields) = Find(config, source);
        return family.FromConfig(fields);
    }

    /// <summary>Reads GGUF metadata. What only tensors tell (biases, tied embeddings, Llama 3's rotary factors) is as the family usually has it.</summary>
    /// <exception cref="CheckpointException">The architecture is unknown, or a key is missing or wrong.</exception>
    public static ModelSpec FromGguf(GgufMetadata metadata) =>
        FromGguf(new GgufModel(metadata, ImmutableDictionary<string, TensorEntry>.Empty, _ => default)).Spec;

    internal static (ModelFamily Family, ConfigFields Fields) Find(JsonElement config, string source)
    {
        var fields = new ConfigFields(config, source);
        if (fields.Object("text_config") is { } text
            && new ConfigFields(text, source).Text("model_type") is { } inner && ByHuggingFaceType.ContainsKey(inner))
            fields = fields.Inside("text_config");
        else if (fields.Has("text_config") && fields.Text("model_type") is { } outer && ByHuggingFaceType.ContainsKey(outer))
            fields = fields.Inside("text_config");
        var type = fields.Text("model_type") ?? throw new CheckpointException($"{source} lacks \"model_type\", so what model it is cannot be known.");
        return ByHuggingFaceType.TryGetValue(type, out var family) ? (family, fields) : throw Unknown(type, source);
    }

    internal static (ModelFamily Family, ModelSpec Spec) FromGguf(GgufModel model)
    {
        if (!ByGgufArchitecture.TryGetValue(model.Architecture, out var family) || family.FromGguf is null) throw Unknown(model.Architecture, model.Source);
        return (family, family.FromGguf(model));
    }

    private static CheckpointException Unknown(string architecture, string source) =>
        new($"{source}: the architecture \"{architecture}\" is not known. Known are {string.Join(", ", KnownArchitectures)}.");
}
