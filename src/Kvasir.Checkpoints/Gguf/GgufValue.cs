namespace Kvasir.Checkpoints.Gguf;

/// <summary>Kinds of metadata values; the numbers are GGUF's (github.com/ggml-org/ggml, docs/gguf.md).</summary>
public enum GgufKind
{
    /// <summary>Unsigned byte.</summary>
    UInt8 = 0,
    /// <summary>Signed byte.</summary>
    Int8 = 1,
    /// <summary>Unsigned, 16 bits.</summary>
    UInt16 = 2,
    /// <summary>Signed, 16 bits.</summary>
    Int16 = 3,
    /// <summary>Unsigned, 32 bits.</summary>
    UInt32 = 4,
    /// <summary>Signed, 32 bits.</summary>
    Int32 = 5,
    /// <summary>IEEE float, 32 bits.</summary>
    Float32 = 6,
    /// <summary>One byte, 0 or 1.</summary>
    Bool = 7,
    /// <summary>UTF-8 with a length of 64 bits before it.</summary>
    Text = 8,
    /// <summary>Elements of one kind.</summary>
    Array = 9,
    /// <summary>Unsigned, 64 bits.</summary>
    UInt64 = 10,
    /// <summary>Signed, 64 bits.</summary>
    Int64 = 11,
    /// <summary>IEEE float, 64 bits.</summary>
    Float64 = 12,
}

/// <summary>Where a metadata value lies in the file.</summary>
/// <param name="Kind">Kind of the value, or of each element.</param>
/// <param name="IsArray">Whether there are <paramref name="Count"/> of them.</param>
/// <param name="Count">Elements; 1 for a single value.</param>
/// <param name="Offset">Byte of the first element.</param>
public readonly record struct GgufValue(GgufKind Kind, bool IsArray, long Count, long Offset)
{
    internal static int FixedBytes(GgufKind kind) => kind switch
    {
        GgufKind.UInt8 or GgufKind.Int8 or GgufKind.Bool => 1,
        GgufKind.UInt16 or GgufKind.Int16 => 2,
        GgufKind.UInt32 or GgufKind.Int32 or GgufKind.Float32 => 4,
        GgufKind.UInt64 or GgufKind.Int64 or GgufKind.Float64 => 8,
        _ => 0,
    };

    /// <summary>"array of 3 Float32", "Text".</summary>
    public override string ToString() => IsArray ? $"array of {Count} {Kind}" : Kind.ToString();
}
