using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Kvasir.Checkpoints.Families;
using Kvasir.Checkpoints.Gguf;
using Kvasir.Checkpoints.Tokenizers;

namespace Kvasir.Checkpoints;

/// <summary>A model's files, mapped and checked: what the model is, where its weights are, how it reads and writes text.</summary>
public sealed class Checkpoint : IDisposable
{
    private readonly GgufFile _file;
    private Tokenizer? _tokenizer;

    private Checkpoint(string path, GgufFile file, ModelSpec spec, ModelTensors tensors) =>
        (Path, _file, Spec, Tensors) = (path, file, spec, tensors);

    /// <summary>Where the files are.</summary>
    public string Path { get; }

    /// <summary>What the model is.</summary>
    public ModelSpec Spec { get; }

    /// <summary>Where its weights are.</summary>
    public ModelTensors Tensors { get; }

    /// <summary>Every tensor of the files.</summary>
    public IReadOnlyList<TensorEntry> AllTensors => _file.Tensors;

    /// <summary>The vocabulary.</summary>
    public Tokenizer Tokenizer => _tokenizer ??= Tokenizer.FromGguf(_file.Metadata);

    /// <summary>The Jinja source of the chat template, or null.</summary>
    public string? ChatTemplateSource => _file.Metadata.TryGetString("tokenizer.chat_template", out var source) ? source : null;

    /// <summary>Opens a GGUF file.</summary>
    /// <exception cref="CheckpointException">It is damaged, or of a kind that is not supported.</exception>
    public static Checkpoint Open(string path)
    {
        var file = GgufFile.Open(path);
        try
        {
            var tensors = file.Tensors.ToImmutableDictionary(tensor => tensor.Name);
            var model = new GgufModel(file.Metadata, tensors, entry => Floats(file.File, entry));
            var (family, spec) = ModelSpecReader.FromGguf(model);
            var binder = new TensorBinder(tensors, family.GgufNames!, "", "", path, _ => null);
            return new Checkpoint(path, file, spec, binder.Bind(spec));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Rows of a view, as stored.</summary>
    public ReadOnlySpan<byte> Bytes(TensorView view, long firstRow, int rows) =>
        _file.File.Bytes(view.Tensor.Offset + (view.FirstRow + firstRow) * view.Tensor.RowBytes, checked((int)(rows * view.Tensor.RowBytes)));

    /// <summary>Where a view begins in the mapping.</summary>
    public nint Address(TensorView view) => _file.File.Address(view.Tensor.Offset + view.FirstRow * view.Tensor.RowBytes, view.ByteLength);

    /// <summary>Lets the system drop a view's pages.</summary>
    public void Release(TensorView view) => _file.File.Release(view.Tensor.Offset + view.FirstRow * view.Tensor.RowBytes, view.ByteLength);

    /// <summary>Unmaps the files.</summary>
    public void Dispose() => _file.Dispose();

    private static ImmutableArray<float> Floats(MappedFile file, TensorEntry entry)
    {
        if (entry.Type != TensorType.F32) throw new CheckpointException($"{file.FilePath}: tensor \"{entry.Name}\" is {entry.Type}; F32 was expected.");
        return [.. MemoryMarshal.Cast<byte, float>(file.Bytes(entry.Offset, checked((int)entry.ByteLength)))];
    }
}
