using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Numerics;

namespace Kvasir.Checkpoints.Gguf;

/// <summary>
/// One GGUF file, versions 2 and 3 (github.com/ggml-org/ggml, docs/gguf.md): metadata and tensors, with every length,
/// offset and count checked against the file. A vocabulary-only file has no tensors.
/// </summary>
public sealed class GgufFile : IDisposable
{
    /// <summary>"GGUF" in little-endian order.</summary>
    public const uint Magic = 0x46554747;

    /// <summary>Alignment of tensors where general.alignment does not say another, in bytes.</summary>
    public const int DefaultAlignment = 32;

    private const int MaximumDimensions = 4;

    private GgufFile(MappedFile file, int version, GgufMetadata metadata, ImmutableArray<TensorEntry> tensors, long dataStart) =>
        (File, Version, Metadata, Tensors, DataStart) = (file, version, metadata, tensors, dataStart);

    /// <summary>The mapping.</summary>
    public MappedFile File { get; }

    /// <summary>2 or 3.</summary>
    public int Version { get; }

    /// <summary>Keys and values.</summary>
    public GgufMetadata Metadata { get; }

    /// <summary>Tensors in the file's order, offsets absolute.</summary>
    public ImmutableArray<TensorEntry> Tensors { get; }

    /// <summary>First byte of tensor data; all before it is header.</summary>
    public long DataStart { get; }

    /// <summary>Maps and checks a file. Its tensors carry <paramref name="fileIndex"/>.</summary>
    /// <exception cref="CheckpointException">It is not GGUF, damaged, or of a version or tensor type that is not read.</exception>
    public static GgufFile Open(string path, int fileIndex = 0)
    {
        var file = MappedFile.Open(path);
        try
        {
            return Read(file, fileIndex);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Whether the file begins as GGUF does.</summary>
    public static bool IsGguf(string path)
    {
        using var file = MappedFile.Open(path);
        return file.Length >= 4 && new GgufCursor(file).UInt32() == Magic;
    }

    private static GgufFile Read(MappedFile file, int fileIndex)
    {
        var cursor = new GgufCursor(file);
        if (file.Length < 24 || cursor.UInt32() != Magic)
            throw new CheckpointException($"{file.FilePath} is not a GGUF file: it does not begin with \"GGUF\" and a header.");
        var version = cursor.UInt32();
        if (version is not (2 or 3))
        {
            throw new CheckpointException(BinaryPrimitives.ReverseEndianness(version) is 2 or 3
                ? $"{file.FilePath} is a big-endian GGUF file; convert it to little-endian."
                : $"{file.FilePath} is GGUF version {version}; versions 2 and 3 are read. Convert it again with a current converter.");
        }
        var tensorCount = cursor.Count("tensors", 24);
        var keyCount = cursor.Count("metadata keys", 13);
        var metadata = GgufMetadata.Read(file, cursor, keyCount);
        var alignment = ReadAlignment(metadata);
        var declared = ReadDeclarations(file, cursor, tensorCount, fileIndex);
        var dataStart = (cursor.Position + alignment - 1) / alignment * alignment;
        return new GgufFile(file, (int)version, metadata, Place(file, declared, dataStart, alignment), dataStart);
    }

    private static long ReadAlignment(GgufMetadata metadata)
    {
        if (!metadata.TryGetInt("general.alignment", out var alignment)) return DefaultAlignment;
        if (alignment is < 8 or > 1 << 20 || !BitOperations.IsPow2(alignment))
            throw new CheckpointException($"{metadata.FilePath}: general.alignment is {alignment}; a power of two from 8 to 1048576 was expected.");
        return alignment;
    }

    /// <summary>The tensors as declared, offsets still relative to the data.</summary>
    private static TensorEntry[] ReadDeclarations(MappedFile file, GgufCursor cursor, long count, int fileIndex)
    {
        // Grown as declarations prove to be there, since the count is only known to be not impossible.
        var names = new HashSet<string>();
        var tensors = new List<TensorEntry>();
        for (long i = 0; i < count; i++)
        {
            var tensor = ReadDeclaration(file, cursor, fileIndex);
            if (!names.Add(tensor.Name))
                throw new CheckpointException($"{file.FilePath} has the tensor \"{tensor.Name}\" twice; it is damaged.");
            tensors.Add(tensor);
        }
        return [.. tensors];
    }

    private static TensorEntry ReadDeclaration(MappedFile file, GgufCursor cursor, int fileIndex)
    {
        var name = cursor.Name();
        var dimensions = cursor.UInt32();
        if (dimensions is 0 or > MaximumDimensions)
            throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" has {dimensions} dimensions; 1 to {MaximumDimensions} were expected.");
        var shape = new long[dimensions];
        for (var i = shape.Length - 1; i >= 0; i--)
        {
            var size = cursor.UInt64();
            // A weight takes at least two bits, so no dimension exceeds four times the bytes of the file.
            if (size == 0 || size > (ulong)file.Length * 4)
                throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" has a dimension of {size}, which {file.Length} bytes cannot hold; the file is damaged.");
            shape[i] = (long)size;
        }
        var number = cursor.UInt32();
        var type = (TensorType)number;
        if (number > int.MaxValue || !type.IsKnown())
            throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" is stored as {GgufTypeNames.Describe(number)}, which Kvasir does not read. It reads {string.Join(", ", Enum.GetNames<TensorType>())}; requantize the model to one of them.");
        var offset = cursor.UInt64();
        if (offset > (ulong)file.Length)
            throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" begins at {offset} of the data, beyond the file's {file.Length} bytes; it is truncated.");
        var columns = shape[^1];
        if (columns % type.BlockLength() != 0)
            throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" has rows of {columns} weights, not a multiple of {type}'s blocks of {type.BlockLength()}.");
        return new TensorEntry(name, type, Rows(file, name, shape), columns, fileIndex, (long)offset, ImmutableArray.Create(shape));
    }

    private static long Rows(MappedFile file, string name, long[] shape)
    {
        Int128 rows = 1;
        foreach (var size in shape.AsSpan(..^1)) rows *= size;
        if (rows * shape[^1] > (Int128)file.Length * 4)
            throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" of shape [{string.Join(", ", shape)}] is larger than the file's {file.Length} bytes; it is truncated or damaged.");
        return (long)rows;
    }

    /// <summary>Makes offsets absolute, having checked that tensors are aligned, inside the file and apart.</summary>
    private static ImmutableArray<TensorEntry> Place(MappedFile file, TensorEntry[] declared, long dataStart, long alignment)
    {
        for (var i = 0; i < declared.Length; i++)
        {
            var tensor = declared[i];
            if (tensor.Offset % alignment != 0)
                throw new CheckpointException($"{file.FilePath}: tensor \"{tensor.Name}\" begins at {tensor.Offset} of the data, not a multiple of {alignment}; the file is damaged.");
            if (tensor.ByteLength > file.Length - dataStart - tensor.Offset)
                throw new CheckpointException($"{file.FilePath} has {file.Length} bytes, but tensor \"{tensor.Name}\" ends at {dataStart + tensor.Offset + tensor.ByteLength}; the file is truncated.");
            declared[i] = tensor with { Offset = dataStart + tensor.Offset };
        }
        var byOffset = declared.OrderBy(t => t.Offset).ToArray();
        for (var i = 1; i < byOffset.Length; i++)
            if (byOffset[i - 1].Offset + byOffset[i - 1].ByteLength > byOffset[i].Offset)
                throw new CheckpointException($"{file.FilePath}: tensors \"{byOffset[i - 1].Name}\" and \"{byOffset[i].Name}\" overlap; the file is damaged.");
        return ImmutableArray.Create(declared);
    }

    /// <summary>Unmaps the file.</summary>
    public void Dispose() => File.Dispose();
}
