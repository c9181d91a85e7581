using System.Collections.Immutable;

namespace Kvasir.Checkpoints.Gguf;

/// <summary>A model's metadata under its architecture's prefix, with the few small tensors that belong to its shape.</summary>
/// <param name="metadata">Keys and values.</param>
/// <param name="tensors">Every tensor by name; empty where only metadata is to be read.</param>
/// <param name="read">Values of a small tensor.</param>
internal sealed class GgufModel(GgufMetadata metadata, IReadOnlyDictionary<string, TensorEntry> tensors, Func<TensorEntry, ImmutableArray<float>> read)
{
    public GgufMetadata Metadata => metadata;

    public string Source => metadata.FilePath;

    public string Architecture { get; } = metadata.TryGetString("general.architecture", out var name)
        ? name : throw new CheckpointException($"{metadata.FilePath} lacks general.architecture, so what model it is cannot be known.");

    /// <summary>Whether tensors are there to look at.</summary>
    public bool HasTensors => tensors.Count > 0;

    public TensorEntry? Tensor(string name) => tensors.GetValueOrDefault(name);

    /// <summary>Values of a tensor, or default where there is none.</summary>
    public ImmutableArray<float> Floats(string tensor) => tensors.TryGetValue(tensor, out var entry) ? read(entry) : default;

    public double? Number(string key) => metadata.TryGetFloat(Full(key), out var value)
        ? double.IsFinite(value) ? value : throw new CheckpointException($"{Source}: metadata key \"{Full(key)}\" is {value}; a finite number was expected.")
        : null;

    public string? Text(string key) => metadata.TryGetString(Full(key), out var value) ? value : null;

    /// <summary>An integer, or a list of equal ones.</summary>
    public int? Integer(string key)
    {
        if (!metadata.Values.TryGetValue(Full(key), out var stored)) return null;
        long value;
        if (stored.IsArray)
        {
            metadata.TryGetInts(Full(key), out var values);
            value = values is { Length: > 0 } ? values[0] : throw new CheckpointException($"{Source}: metadata key \"{Full(key)}\" is empty.");
            if (values.Any(other => other != value))
                throw new CheckpointException($"{Source}: metadata key \"{Full(key)}\" differs between layers, which this architecture does not do.");
        }
        else
        {
            metadata.TryGetInt(Full(key), out value);
        }
        return value is >= int.MinValue and <= int.MaxValue ? (int)value
            : throw new CheckpointException($"{Source}: metadata key \"{Full(key)}\" is {value}; a number below 2147483648 was expected.");
    }

    /// <summary>A list of integers or booleans, or null where the key is absent or a single value.</summary>
    public long[]? List(string key) =>
        metadata.Values.TryGetValue(Full(key), out var stored) && stored.IsArray && metadata.TryGetInts(Full(key), out var values) ? values : null;

    public int RequiredInteger(string key) => Integer(key) ?? throw Missing(key);

    public double RequiredNumber(string key) => Number(key) ?? throw Missing(key);

    private string Full(string key) => $"{Architecture}.{key}";

    private CheckpointException Missing(string key) => new($"{Source} lacks the metadata key \"{Full(key)}\", which this architecture needs.");
}
