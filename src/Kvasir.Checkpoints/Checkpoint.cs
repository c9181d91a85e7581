using System.Buffers.Binary;
using System.IO.Hashing;
using Kvasir.Checkpoints.Gguf;
using Kvasir.Checkpoints.HuggingFace;
using Kvasir.Checkpoints.Tokenizers;

namespace Kvasir.Checkpoints;

/// <summary>
/// A model's files, mapped: what it is (<see cref="Spec"/>), where its weights are (<see cref="Tensors"/>), how to talk to it.
/// Spans and addresses into it end with <see cref="Dispose"/>.
/// </summary>
public sealed class Checkpoint : IDisposable
{
    private readonly CheckpointContent _content;
    private readonly Lazy<string> _digest;
    private readonly Lazy<Tokenizer> _tokenizer;

    private Checkpoint(string path, CheckpointContent content)
    {
        (Path, _content) = (path, content);
        _digest = new Lazy<string>(ComputeDigest);
        _tokenizer = new Lazy<Tokenizer>(content.OpenTokenizer);
    }

    /// <summary>The file or directory that was opened.</summary>
    public string Path { get; }

    /// <summary>"GGUF v3", "safetensors".</summary>
    public string Format => _content.Format;

    /// <summary>What the model is.</summary>
    public ModelSpec Spec => _content.Spec;

    /// <summary>Where its weights are, by role.</summary>
    public ModelTensors Tensors => _content.Tensors;

    /// <summary>Every tensor in the files, used or not.</summary>
    public IReadOnlyList<TensorEntry> AllTensors => _content.AllTensors;

    /// <summary>The vocabulary; read when first asked for.</summary>
    public Tokenizer Tokenizer => _tokenizer.Value;

    /// <summary>The chat template's Jinja source, or null where there is none.</summary>
    public string? ChatTemplateSource => _content.ChatTemplate;

    /// <summary>What the makers say of generating.</summary>
    public GenerationDefaults Defaults => _content.Defaults;

    /// <summary>Bytes of all weight files.</summary>
    public long FileBytes => _content.Files.Sum(file => file.Length);

    /// <summary>XxHash128 over configuration, headers and file sizes, in hexadecimal: names the model without reading its weights.</summary>
    public string Digest => _digest.Value;

    /// <summary>Opens a GGUF file (or the first of a split set), or a Hugging Face directory.</summary>
    /// <exception cref="CheckpointException">It is damaged, incomplete or of a kind that is not supported.</exception>
    public static Checkpoint Open(string path)
    {
        if (Directory.Exists(path)) return new Checkpoint(path, HuggingFaceCheckpoint.Open(path));
        if (path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase) && File.Exists(path))
            throw new CheckpointException($"{path} holds weights alone; give its directory, where config.json is.");
        return new Checkpoint(path, GgufCheckpoint.Open(path));
    }

    /// <summary>The bytes of some rows of a view.</summary>
    /// <param name="view">Part of a tensor.</param>
    /// <param name="firstRow">First row, counted from the view's.</param>
    /// <param name="rows">Rows; together at most 2 GiB.</param>
    public ReadOnlySpan<byte> Bytes(TensorView view, long firstRow, int rows)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstRow);
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstRow + rows, view.Rows);
        var rowBytes = view.Tensor.RowBytes;
        return _content.Files[view.Tensor.File].Bytes(Start(view) + firstRow * rowBytes, checked((int)(rows * rowBytes)));
    }

    /// <summary>Where the view begins in the mapping.</summary>
    public nint Address(TensorView view) => _content.Files[view.Tensor.File].Address(Start(view), view.ByteLength);

    /// <summary>Lets the system drop the view's pages from memory; they come back from the file when touched.</summary>
    public void Release(TensorView view) => _content.Files[view.Tensor.File].Release(Start(view), view.ByteLength);

    /// <summary>Refuses to go on with files that were written to since they were opened.</summary>
    /// <exception cref="CheckpointException">One was.</exception>
    public void RequireUnchanged()
    {
        foreach (var file in _content.Files) file.RequireUnchanged();
    }

    private static long Start(TensorView view) => view.Tensor.Offset + view.FirstRow * view.Tensor.RowBytes;

    private string ComputeDigest()
    {
        var hash = new XxHash128();
        hash.Append(_content.Configuration);
        var size = new byte[8];
        for (var i = 0; i < _content.Files.Length; i++)
        {
            var file = _content.Files[i];
            BinaryPrimitives.WriteInt64LittleEndian(size, file.Length);
            hash.Append(size);
            for (long offset = 0, end = _content.HeaderBytes[i]; offset < end; offset += 1 << 20)
                hash.Append(file.Bytes(offset, (int)Math.Min(1 << 20, end - offset)));
        }
        return Convert.ToHexStringLower(hash.GetCurrentHash());
    }

    /// <summary>Unmaps the files.</summary>
    public void Dispose()
    {
        foreach (var file in _content.Files) file.Dispose();
    }
}
