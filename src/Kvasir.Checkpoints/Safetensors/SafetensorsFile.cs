using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text.Json;

namespace Kvasir.Checkpoints.Safetensors;

/// <summary>
/// One safetensors file (github.com/huggingface/safetensors, README "Format"): a length, a JSON header, then the data.
/// Header length, shapes, offsets and their contiguity are checked before anything is allocated for them.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    // The reference reader's bound on a header, in bytes.
    private const long MaximumHeaderBytes = 100_000_000;

    private SafetensorsFile(MappedFile file, long dataStart, ImmutableArray<TensorEntry> tensors, ImmutableDictionary<string, string> otherTypes) =>
        (File, DataStart, Tensors, OtherTypes) = (file, dataStart, tensors, otherTypes);

    /// <summary>The mapping.</summary>
    public MappedFile File { get; }

    /// <summary>First byte of tensor data.</summary>
    public long DataStart { get; }

    /// <summary>Tensors of the types F32, F16 and BF16, in the header's order.</summary>
    public ImmutableArray<TensorEntry> Tensors { get; }

    /// <summary>Names and types of the tensors that are valid but of a type that is not read.</summary>
    public ImmutableDictionary<string, string> OtherTypes { get; }

    /// <summary>Maps and checks a file. Its tensors carry <paramref name="fileIndex"/>.</summary>
    /// <exception cref="CheckpointException">It is not safetensors, or damaged.</exception>
    public static SafetensorsFile Open(string path, int fileIndex = 0)
    {
        var file = MappedFile.Open(path);
        try
        {
            return Read(file, fileIndex);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or FormatException)
        {
            file.Dispose();
            throw new CheckpointException($"{path}: the header is not the JSON of a safetensors file ({error.Message}); it is damaged.", error);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static SafetensorsFile Read(MappedFile file, int fileIndex)
    {
        if (file.Length < 8) throw new CheckpointException($"{file.FilePath} has {file.Length} bytes, too few for a safetensors file; it is truncated.");
        var length = BinaryPrimitives.ReadUInt64LittleEndian(file.Bytes(0, 8));
        if (length > (ulong)Math.Min(file.Length - 8, MaximumHeaderBytes))
            throw new CheckpointException($"{file.FilePath} claims a header of {length} bytes, where {file.Length - 8} follow and at most {MaximumHeaderBytes} are read; it is damaged or truncated.");
        var dataStart = 8 + (long)length;
        var header = new SafetensorsHeader(file, dataStart, fileIndex);
        header.Parse(file.Bytes(8, (int)length));
        return new SafetensorsFile(file, dataStart, header.Tensors, header.OtherTypes);
    }

    /// <summary>Unmaps the file.</summary>
    public void Dispose() => File.Dispose();
}
