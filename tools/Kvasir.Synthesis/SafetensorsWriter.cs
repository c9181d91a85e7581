using System.Buffers.Binary;
using System.Text.Json.Nodes;
using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>Writes safetensors files: declarations first, then all is streamed to disk.</summary>
public sealed class SafetensorsWriter
{
    private readonly JsonObject _header = new() { ["__metadata__"] = new JsonObject { ["format"] = "pt" } };
    private readonly List<(string Name, long Bytes, Action<Stream> Write)> _tensors = [];
    private long _offset;

    /// <summary>Bytes of tensor data so far.</summary>
    public long DataBytes => _offset;

    /// <summary>Names of the tensors so far.</summary>
    public IEnumerable<string> Names => _tensors.Select(tensor => tensor.Name);

    /// <summary>Adds a tensor of the type F32, F16 or BF16.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">How values are stored.</param>
    /// <param name="shape">Dimensions, outermost first.</param>
    /// <param name="write">Writes exactly its bytes.</param>
    public void Tensor(string name, TensorType type, long[] shape, Action<Stream> write)
    {
        if (type is not (TensorType.F32 or TensorType.F16 or TensorType.BF16))
            throw new ArgumentException($"safetensors holds F32, F16 and BF16; {type} needs GGUF.", nameof(type));
        var bytes = shape.Aggregate(1L, (product, size) => product * size) * type.BlockBytes();
        _header[name] = new JsonObject
        {
            ["dtype"] = type.ToString(),
            ["shape"] = new JsonArray([.. shape.Select(size => (JsonNode)size)]),
            ["data_offsets"] = new JsonArray(_offset, _offset + bytes),
        };
        _offset += bytes;
        _tensors.Add((name, bytes, write));
    }

    /// <summary>Writes the file.</summary>
    public void Write(string path)
    {
        var header = System.Text.Encoding.UTF8.GetBytes(_header.ToJsonString());
        // Padded with spaces so that the data begins at a multiple of eight.
        var padded = (header.Length + 7) / 8 * 8;
        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 20);
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, padded);
        stream.Write(length);
        stream.Write(header);
        for (var i = header.Length; i < padded; i++) stream.WriteByte((byte)' ');
        foreach (var tensor in _tensors)
        {
            var start = stream.Position;
            tensor.Write(stream);
            if (stream.Position - start != tensor.Bytes)
                throw new InvalidOperationException($"Tensor \"{tensor.Name}\" wrote {stream.Position - start} bytes, not its {tensor.Bytes}.");
        }
    }
}
