using System.Diagnostics.CodeAnalysis;

namespace Kvasir.Checkpoints.Gguf;

/// <summary>
/// The typed keys and values of a GGUF file. Values stay in the mapped file and are decoded when asked for, so they
/// live as long as their <see cref="GgufFile"/>. A key of another kind than asked for is an error that names both.
/// </summary>
public sealed class GgufMetadata
{
    // Checkpoints have some dozens; the bound keeps a damaged count from filling memory with keys.
    private const int MaximumKeys = 16384;

    private readonly MappedFile _file;
    private readonly Dictionary<string, GgufValue> _values = [];

    private GgufMetadata(MappedFile file) => _file = file;

    /// <summary>Every key with its kind and place.</summary>
    public IReadOnlyDictionary<string, GgufValue> Values => _values;

    /// <summary>The file's path, for messages.</summary>
    public string FilePath => _file.FilePath;

    internal static GgufMetadata Read(MappedFile file, GgufCursor cursor, long count)
    {
        if (count > MaximumKeys)
            throw new CheckpointException($"{file.FilePath} claims {count} metadata keys; at most {MaximumKeys} are read. It is damaged.");
        var metadata = new GgufMetadata(file);
        for (long i = 0; i < count; i++)
        {
            var key = cursor.Name();
            if (!metadata._values.TryAdd(key, metadata.ReadValue(cursor, key)))
                throw new CheckpointException($"{file.FilePath} has the metadata key \"{key}\" twice; it is damaged.");
        }
        return metadata;
    }

    private GgufValue ReadValue(GgufCursor cursor, string key)
    {
        var kind = ReadKind(cursor, key);
        if (kind != GgufKind.Array)
        {
            var single = new GgufValue(kind, IsArray: false, 1, cursor.Position);
            SkipElements(cursor, single);
            return single;
        }
        var element = ReadKind(cursor, key);
        if (element == GgufKind.Array)
            throw new CheckpointException($"{FilePath}: metadata key \"{key}\" is an array of arrays, which Kvasir does not read.");
        var count = cursor.Count($"elements of \"{key}\"", element == GgufKind.Text ? 8 : GgufValue.FixedBytes(element));
        var array = new GgufValue(element, IsArray: true, count, cursor.Position);
        SkipElements(cursor, array);
        return array;
    }

    private GgufKind ReadKind(GgufCursor cursor, string key)
    {
        var kind = cursor.UInt32();
        if (kind > (uint)GgufKind.Float64)
            throw new CheckpointException($"{FilePath}: metadata key \"{key}\" has the unknown kind {kind}; GGUF has 0 to {(int)GgufKind.Float64}.");
        return (GgufKind)kind;
    }

    private static void SkipElements(GgufCursor cursor, GgufValue value)
    {
        if (value.Kind != GgufKind.Text)
        {
            cursor.Skip(value.Count * GgufValue.FixedBytes(value.Kind));
            return;
        }
        for (long i = 0; i < value.Count; i++) cursor.TextBytes();
    }

    /// <summary>Whether the key is there.</summary>
    public bool Contains(string key) => _values.ContainsKey(key);

    /// <summary>A text.</summary>
    public bool TryGetString(string key, [NotNullWhen(true)] out string? value)
    {
        value = null;
        if (!TryFind(key, isArray: false, "a text", static k => k == GgufKind.Text, out var found)) return false;
        value = new GgufCursor(_file, found.Offset).Text();
        return true;
    }

    /// <summary>An integer of any width; unsigned 64-bit values beyond 2⁶³ are an error.</summary>
    public bool TryGetInt(string key, out long value)
    {
        value = 0;
        if (!TryFind(key, isArray: false, "an integer", IsInteger, out var found)) return false;
        value = ReadInteger(new GgufCursor(_file, found.Offset), found.Kind, key);
        return true;
    }

    /// <summary>A float of either width, or an integer.</summary>
    public bool TryGetFloat(string key, out double value)
    {
        value = 0;
        if (!TryFind(key, isArray: false, "a number", IsNumber, out var found)) return false;
        value = ReadNumber(new GgufCursor(_file, found.Offset), found.Kind, key);
        return true;
    }

    /// <summary>A boolean.</summary>
    public bool TryGetBool(string key, out bool value)
    {
        value = false;
        if (!TryFind(key, isArray: false, "a boolean", static k => k == GgufKind.Bool, out var found)) return false;
        value = new GgufCursor(_file, found.Offset).Byte() != 0;
        return true;
    }

    /// <summary>An array of texts.</summary>
    public bool TryGetStrings(string key, [NotNullWhen(true)] out string[]? values)
    {
        values = null;
        if (!TryFind(key, isArray: true, "an array of texts", static k => k == GgufKind.Text, out var found)) return false;
        var cursor = new GgufCursor(_file, found.Offset);
        values = new string[found.Count];
        for (var i = 0; i < values.Length; i++) values[i] = cursor.Text();
        return true;
    }

    /// <summary>An array of integers (or booleans, as 0 and 1).</summary>
    public bool TryGetInts(string key, [NotNullWhen(true)] out long[]? values)
    {
        values = null;
        if (!TryFind(key, isArray: true, "an array of integers", static k => IsInteger(k) || k == GgufKind.Bool, out var found)) return false;
        var cursor = new GgufCursor(_file, found.Offset);
        values = new long[found.Count];
        for (var i = 0; i < values.Length; i++) values[i] = ReadInteger(cursor, found.Kind, key);
        return true;
    }

    /// <summary>An array of numbers.</summary>
    public bool TryGetFloats(string key, [NotNullWhen(true)] out float[]? values)
    {
        values = null;
        if (!TryFind(key, isArray: true, "an array of numbers", IsNumber, out var found)) return false;
        var cursor = new GgufCursor(_file, found.Offset);
        values = new float[found.Count];
        for (var i = 0; i < values.Length; i++) values[i] = (float)ReadNumber(cursor, found.Kind, key);
        return true;
    }

    private bool TryFind(string key, bool isArray, string expected, Func<GgufKind, bool> fits, out GgufValue value)
    {
        if (!_values.TryGetValue(key, out value)) return false;
        if (value.IsArray != isArray || !fits(value.Kind))
            throw new CheckpointException($"{FilePath}: metadata key \"{key}\" is {value}, where {expected} was expected.");
        return true;
    }

    private static bool IsInteger(GgufKind kind) => kind is <= GgufKind.Int32 or GgufKind.UInt64 or GgufKind.Int64;

    private static bool IsNumber(GgufKind kind) => IsInteger(kind) || kind is GgufKind.Float32 or GgufKind.Float64;

    private long ReadInteger(GgufCursor cursor, GgufKind kind, string key)
    {
        switch (kind)
        {
            case GgufKind.UInt8 or GgufKind.Bool: return cursor.Byte();
            case GgufKind.Int8: return (sbyte)cursor.Byte();
            case GgufKind.UInt16: return cursor.UInt16();
            case GgufKind.Int16: return (short)cursor.UInt16();
            case GgufKind.UInt32: return cursor.UInt32();
            case GgufKind.Int32: return (int)cursor.UInt32();
            case GgufKind.Int64: return (long)cursor.UInt64();
        }
        var value = cursor.UInt64();
        if (value > long.MaxValue)
            throw new CheckpointException($"{FilePath}: metadata key \"{key}\" is {value}, larger than any size; the file is damaged.");
        return (long)value;
    }

    private double ReadNumber(GgufCursor cursor, GgufKind kind, string key) => kind switch
    {
        GgufKind.Float32 => BitConverter.UInt32BitsToSingle(cursor.UInt32()),
        GgufKind.Float64 => BitConverter.UInt64BitsToDouble(cursor.UInt64()),
        _ => ReadInteger(cursor, kind, key),
    };
}
