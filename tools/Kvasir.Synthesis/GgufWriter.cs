using System.Text;
using Kvasir.Checkpoints;
using Kvasir.Checkpoints.Gguf;

namespace Kvasir.Synthesis;

/// <summary>Writes GGUF files: metadata and tensor declarations are collected first, then all is streamed to disk.</summary>
public sealed class GgufWriter(int version = 3, int alignment = GgufFile.DefaultAlignment)
{
    private readonly List<Action<BinaryWriter>> _metadata = [];
    private readonly List<Declared> _tensors = [];
    private bool _alignmentWritten = alignment == GgufFile.DefaultAlignment;

    private sealed record Declared(string Name, TensorType Type, long[] Shape, Action<Stream> Write)
    {
        public long Bytes => Type.RowBytes(Shape[^1]) * Shape.AsSpan(..^1).ToArray().Aggregate(1L, (product, size) => product * size);
    }

    /// <summary>Adds a text.</summary>
    public GgufWriter Text(string key, string value) => Add(key, GgufKind.Text, output => WriteText(output, value));

    /// <summary>Adds an unsigned integer of 32 bits.</summary>
    public GgufWriter UInt32(string key, long value) => Add(key, GgufKind.UInt32, output => output.Write(checked((uint)value)));

    /// <summary>Adds an unsigned integer of 16 bits.</summary>
    public GgufWriter UInt16(string key, int value) => Add(key, GgufKind.UInt16, output => output.Write(checked((ushort)value)));

    /// <summary>Adds a signed integer of 32 bits.</summary>
    public GgufWriter Int32(string key, int value) => Add(key, GgufKind.Int32, output => output.Write(value));

    /// <summary>Adds a float of 32 bits.</summary>
    public GgufWriter Float32(string key, double value) => Add(key, GgufKind.Float32, output => output.Write((float)value));

    /// <summary>Adds a boolean.</summary>
    public GgufWriter Bool(string key, bool value) => Add(key, GgufKind.Bool, output => output.Write(value));

    /// <summary>Adds an array of texts.</summary>
    public GgufWriter Texts(string key, IReadOnlyCollection<string> values) => AddArray(key, GgufKind.Text, values, WriteText);

    /// <summary>Adds an array of signed integers of 32 bits.</summary>
    public GgufWriter Int32s(string key, IReadOnlyCollection<int> values) => AddArray(key, GgufKind.Int32, values, static (output, value) => output.Write(value));

    /// <summary>Adds an array of floats of 32 bits.</summary>
    public GgufWriter Float32s(string key, IReadOnlyCollection<float> values) => AddArray(key, GgufKind.Float32, values, static (output, value) => output.Write(value));

    /// <summary>Adds an array of booleans.</summary>
    public GgufWriter Bools(string key, IReadOnlyCollection<bool> values) => AddArray(key, GgufKind.Bool, values, static (output, value) => output.Write(value));

    /// <summary>Adds a tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">How values are stored.</param>
    /// <param name="shape">Dimensions, outermost first.</param>
    /// <param name="write">Writes exactly its bytes.</param>
    public GgufWriter Tensor(string name, TensorType type, long[] shape, Action<Stream> write)
    {
        _tensors.Add(new Declared(name, type, shape, write));
        return this;
    }

    /// <summary>Adds a tensor of floats.</summary>
    public GgufWriter Tensor(string name, long[] shape, float[] values) =>
        Tensor(name, TensorType.F32, shape, stream => stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan())));

    /// <summary>Writes the file.</summary>
    public void Write(string path)
    {
        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 20);
        Write(stream);
    }

    /// <summary>Writes the file to a stream that knows its position.</summary>
    public void Write(Stream stream)
    {
        if (!_alignmentWritten)
        {
            UInt32("general.alignment", alignment);
            _alignmentWritten = true;
        }
        using var output = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        output.Write(GgufFile.Magic);
        output.Write(version);
        output.Write((long)_tensors.Count);
        output.Write((long)_metadata.Count);
        foreach (var entry in _metadata) entry(output);
        WriteDeclarations(output);
        foreach (var tensor in _tensors)
        {
            Pad(output);
            output.Flush();
            var start = stream.Position;
            tensor.Write(stream);
            if (stream.Position - start != tensor.Bytes)
                throw new InvalidOperationException($"Tensor \"{tensor.Name}\" wrote {stream.Position - start} bytes, not its {tensor.Bytes}.");
        }
        // Readers demand that the last tensor, too, ends at a multiple.
        Pad(output);
    }

    private void WriteDeclarations(BinaryWriter output)
    {
        long offset = 0;
        foreach (var tensor in _tensors)
        {
            WriteText(output, tensor.Name);
            output.Write(tensor.Shape.Length);
            foreach (var size in tensor.Shape.Reverse()) output.Write(size);
            output.Write((uint)tensor.Type);
            output.Write(offset);
            offset += (tensor.Bytes + alignment - 1) / alignment * alignment;
        }
    }

    private void Pad(BinaryWriter output)
    {
        output.Flush();
        var over = (int)(output.BaseStream.Position % alignment);
        if (over > 0) output.Write(new byte[alignment - over]);
    }

    private GgufWriter Add(string key, GgufKind kind, Action<BinaryWriter> value)
    {
        _metadata.Add(output =>
        {
            WriteText(output, key);
            output.Write((uint)kind);
            value(output);
        });
        return this;
    }

    private GgufWriter AddArray<T>(string key, GgufKind kind, IReadOnlyCollection<T> values, Action<BinaryWriter, T> element) =>
        Add(key, GgufKind.Array, output =>
        {
            output.Write((uint)kind);
            output.Write((long)values.Count);
            foreach (var value in values) element(output, value);
        });

    private static void WriteText(BinaryWriter output, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        output.Write((long)bytes.Length);
        output.Write(bytes);
    }
}
