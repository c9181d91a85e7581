using System.Collections.Immutable;
using System.Text.Json;

namespace Kvasir.Checkpoints.Safetensors;

/// <summary>Parses a safetensors header straight from the mapped bytes.</summary>
internal sealed class SafetensorsHeader(MappedFile file, long dataStart, int fileIndex)
{
    private const int MaximumDimensions = 8;

    // Names appear in messages.
    private const int MaximumNameBytes = 1024;

    private static readonly Dictionary<string, int> BitsOfType = new()
    {
        ["F32"] = 32, ["F16"] = 16, ["BF16"] = 16, ["F64"] = 64, ["I64"] = 64, ["I32"] = 32, ["I16"] = 16, ["I8"] = 8,
        ["U64"] = 64, ["U32"] = 32, ["U16"] = 16, ["U8"] = 8, ["BOOL"] = 8, ["F8_E4M3"] = 8, ["F8_E5M2"] = 8, ["F8_E8M0"] = 8, ["C64"] = 64,
        ["F4"] = 4, ["F6_E2M3"] = 6, ["F6_E3M2"] = 6,
    };

    private readonly ImmutableArray<TensorEntry>.Builder _tensors = ImmutableArray.CreateBuilder<TensorEntry>();
    private readonly ImmutableDictionary<string, string>.Builder _otherTypes = ImmutableDictionary.CreateBuilder<string, string>();
    private readonly HashSet<string> _names = [];
    private readonly List<(long Start, long End)> _ranges = [];

    public ImmutableArray<TensorEntry> Tensors => _tensors.ToImmutable();

    public ImmutableDictionary<string, string> OtherTypes => _otherTypes.ToImmutable();

    public void Parse(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject) throw new JsonException("not an object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueSpan.Length > MaximumNameBytes)
                throw new CheckpointException($"{file.FilePath} has a tensor name of {reader.ValueSpan.Length} bytes; at most {MaximumNameBytes} are read. It is damaged.");
            var name = reader.GetString()!;
            if (!_names.Add(name)) throw new CheckpointException($"{file.FilePath} has the tensor \"{name}\" twice; it is damaged.");
            reader.Read();
            if (name == "__metadata__") reader.Skip();
            else ReadTensor(ref reader, name);
        }
        while (reader.Read()) { }
        CheckRanges();
    }

    private void ReadTensor(ref Utf8JsonReader reader, string name)
    {
        string? type = null;
        long[]? shape = null, offsets = null;
        if (reader.TokenType != JsonTokenType.StartObject) throw new JsonException($"\"{name}\" is not an object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var field = reader.GetString();
            reader.Read();
            switch (field)
            {
                case "dtype": type = reader.GetString(); break;
                case "shape": shape = ReadNumbers(ref reader, name, MaximumDimensions); break;
                case "data_offsets": offsets = ReadNumbers(ref reader, name, 2); break;
                default: throw new JsonException($"\"{name}\" has the unknown field \"{field}\"");
            }
        }
        if (type is null || shape is null || offsets is not { Length: 2 }) throw new JsonException($"\"{name}\" lacks dtype, shape or data_offsets");
        Add(name, type, shape, offsets[0], offsets[1]);
    }

    private static long[] ReadNumbers(ref Utf8JsonReader reader, string name, int maximum)
    {
        if (reader.TokenType != JsonTokenType.StartArray) throw new JsonException($"\"{name}\" has a field that is not a list");
        var numbers = new List<long>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (numbers.Count == maximum) throw new JsonException($"\"{name}\" has a list of more than {maximum} numbers");
            numbers.Add(reader.GetInt64());
        }
        return [.. numbers];
    }

    private void Add(string name, string type, long[] shape, long start, long end)
    {
        if (!BitsOfType.TryGetValue(type, out var bits))
            throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" is of the unknown type \"{type}\"; {string.Join(", ", BitsOfType.Keys)} are known.");
        Int128 elements = 1;
        foreach (var size in shape)
        {
            elements *= size;
            // Each factor is below 2⁶³, so checking after each keeps the product within 128 bits.
            if (size < 0 || elements > (Int128)file.Length * 8)
                throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" of shape [{string.Join(", ", shape)}] does not fit into the file's {file.Length} bytes; it is damaged.");
        }
        if (start < 0 || end < start || end > file.Length - dataStart)
            throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" lies at {start} to {end} of {file.Length - dataStart} bytes of data; the file is truncated or damaged.");
        if (elements * bits != (Int128)(end - start) * 8)
            throw new CheckpointException($"{file.FilePath}: tensor \"{name}\" has {end - start} bytes, but {type} of shape [{string.Join(", ", shape)}] takes {(elements * bits + 7) / 8}.");
        _ranges.Add((start, end));
        if (type is "F32" or "F16" or "BF16")
        {
            if (elements == 0) return;
            var columns = shape.Length == 0 ? 1 : shape[^1];
            var stored = type switch { "F32" => TensorType.F32, "F16" => TensorType.F16, _ => TensorType.BF16 };
            _tensors.Add(new TensorEntry(name, stored, (long)elements / columns, columns, fileIndex, dataStart + start, ImmutableArray.Create(shape)));
        }
        else
        {
            _otherTypes[name] = type;
        }
    }

    private void CheckRanges()
    {
        _ranges.Sort();
        long at = 0;
        foreach (var (start, end) in _ranges)
        {
            if (start != at) throw new CheckpointException($"{file.FilePath}: a tensor begins at {start} of the data, where {at} was expected: tensors overlap or leave a hole. The file is damaged.");
            at = end;
        }
        if (at != file.Length - dataStart)
            throw new CheckpointException($"{file.FilePath}: tensors end at {at} of {file.Length - dataStart} bytes of data; the file is truncated or damaged.");
    }
}
