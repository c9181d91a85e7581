using System.Collections.Immutable;
using Kvasir.Checkpoints.Tokenizers;

namespace Kvasir.Checkpoints;

/// <summary>What a format's reader found; <see cref="Checkpoint"/> owns it from then on.</summary>
internal sealed record CheckpointContent
{
    public required string Format { get; init; }
    public required ImmutableArray<MappedFile> Files { get; init; }
    /// <summary>Bytes before the tensor data of each file.</summary>
    public required ImmutableArray<long> HeaderBytes { get; init; }
    public required ModelSpec Spec { get; init; }
    public required ModelTensors Tensors { get; init; }
    public required ImmutableArray<TensorEntry> AllTensors { get; init; }
    public required Func<Tokenizer> OpenTokenizer { get; init; }
    public required string? ChatTemplate { get; init; }
    public required GenerationDefaults Defaults { get; init; }
    /// <summary>Text beside the files that decides what the model is (config.json), for the digest.</summary>
    public byte[] Configuration { get; init; } = [];
}
