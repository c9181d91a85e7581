using System.Collections.Immutable;
using Kvasir.Checkpoints.Gguf;
using Kvasir.Checkpoints.HuggingFace;

namespace Kvasir.Checkpoints.Families;

/// <summary>Models that share a description: the names that files give them, and how their shapes are read.</summary>
internal sealed record ModelFamily
{
    /// <summary>Values of config.json's model_type.</summary>
    public required ImmutableArray<string> HuggingFaceTypes { get; init; }
    /// <summary>Values of general.architecture.</summary>
    public ImmutableArray<string> GgufArchitectures { get; init; } = [];
    /// <summary>Reads config.json.</summary>
    public required Func<ConfigFields, ModelSpec> FromConfig { get; init; }
    /// <summary>Reads GGUF metadata; null where only config.json is known.</summary>
    public Func<GgufModel, ModelSpec>? FromGguf { get; init; }
    /// <summary>Names of the tensors in safetensors; null where a family's shapes are known but its weights cannot be run.</summary>
    public TensorNames? HuggingFaceNames { get; init; }
    /// <summary>Names of the tensors in GGUF; null as above.</summary>
    public TensorNames? GgufNames { get; init; }
}
