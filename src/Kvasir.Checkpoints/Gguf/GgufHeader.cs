using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace Kvasir.Checkpoints.Gguf;

/// <summary>A tensor as a header declares it, of whatever type: what planning needs of it.</summary>
/// <param name="Name">The name in the file.</param>
/// <param name="Type">The number of its <c>ggml_type</c>, known here or not.</param>
/// <param name="Shape">Dimensions, outermost first.</param>
public sealed record GgufTensorHeader(string Name, int Type, ImmutableArray<long> Shape)
{
    /// <summary>The innermost dimension.</summary>
    public long Columns => Shape[^1];
    /// <summary>Product of the others.</summary>
    public long Rows => Shape.Take(Shape.Length - 1).Aggregate(1L, (product, size) => product * size);
}

/// <summary>
/// The header of a GGUF file or split set, with tensors of any type: for planning, where a file need not be one that the
/// engine can run. Nothing beyond the header is read.
/// </summary>
public sealed partial class GgufHeader : IDisposable
{
    private const long LargestElements = 1L << 50;
    private readonly List<MappedFile> _files = [];
    private readonly List<GgufTensorHeader> _tensors = [];

    private GgufHeader(string path) => Metadata = Read(path);

    /// <summary>Keys and values of the first file.</summary>
    public GgufMetadata Metadata { get; }

    /// <summary>Tensors of all files.</summary>
    public IReadOnlyList<GgufTensorHeader> Tensors => _tensors;

    /// <summary>Opens a file, and the others of its set where it is the first of one.</summary>
    /// <exception cref="CheckpointException">It is not GGUF, or its header is damaged.</exception>
    public static GgufHeader Open(string path)
    {
        var header = new GgufHeader(path);
        try
        {
            header.ReadOthers(path);
            return header;
        }
        catch
        {
            header.Dispose();
            throw;
        }
    }

    private void ReadOthers(string path)
    {
        if (SetPattern().Match(path) is not { Success: true } match) return;
        var count = int.Parse(match.Groups["count"].ValueSpan);
        if (match.Groups["number"].Value != "00001") throw new CheckpointException($"{path} is not the first of its set; give {match.Groups["name"].Value}-00001-of-{count:00000}.gguf.");
        for (var number = 2; number <= count; number++) Read($"{match.Groups["name"].Value}-{number:00000}-of-{count:00000}.gguf");
    }

    private GgufMetadata Read(string path)
    {
        var file = MappedFile.Open(path);
        _files.Add(file);
        try
        {
            return ReadFile(file);
        }
        catch when (_files.Count == 1)
        {
            file.Dispose();
            throw;
        }
    }

    private GgufMetadata ReadFile(MappedFile file)
    {
        var cursor = new GgufCursor(file);
        if (file.Length < 24 || cursor.UInt32() != GgufFile.Magic) throw new CheckpointException($"{file.FilePath} is not a GGUF file: it does not begin with \"GGUF\" and a header.");
        var version = cursor.UInt32();
        if (version is not (2 or 3)) throw new CheckpointException($"{file.FilePath} is GGUF version {version}; versions 2 and 3 are read. Convert it again with a current converter.");
        var tensors = cursor.Count("tensors", 24);
        var metadata = GgufMetadata.Read(file, cursor, cursor.Count("metadata keys", 13));
        for (long i = 0; i < tensors; i++) _tensors.Add(ReadTensor(file, cursor));
        return metadata;
    }

    private static GgufTensorHeader ReadTensor(MappedFile file, GgufCursor cursor)
    {
        var name = cursor.Name();
        var dimensions = cursor.UInt32();
        if (dimensions is 0 or > 4) throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" has {dimensions} dimensions; 1 to 4 were expected.");
        var shape = new long[dimensions];
        Int128 elements = 1;
        for (var i = shape.Length - 1; i >= 0; i--)
        {
            var size = cursor.UInt64();
            elements *= size;
            if (size == 0 || elements > LargestElements) throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" has a dimension of {size}, which no model has; the file is damaged.");
            shape[i] = (long)size;
        }
        var type = cursor.UInt32();
        cursor.UInt64();
        return type <= ushort.MaxValue ? new GgufTensorHeader(name, (int)type, ImmutableArray.Create(shape))
            : throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" has the type {type}, which is none; the file is damaged.");
    }

    /// <summary>Unmaps the files.</summary>
    public void Dispose()
    {
        foreach (var file in _files) file.Dispose();
    }

    [GeneratedRegex(@"^(?<name>.*)-(?<number>\d{5})-of-(?<count>\d{5})\.gguf$", RegexOptions.CultureInvariant)]
    private static partial Regex SetPattern();
}
