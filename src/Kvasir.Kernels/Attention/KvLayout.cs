namespace Kvasir.Kernels;

/// <summary>
/// Shape of a layer's KV blocks of 16 tokens. Keys and values lie apart, each head by itself. What a token stores is its
/// own: its bytes are shared with no other token, so that a block can be copied and continued anywhere.
/// </summary>
/// <remarks>
/// Floats: keys [key size][16 tokens], values [value size / 16][16 tokens][16 values], value size rounded up to 16.
/// Q8_0 and Q4_0, of rotated heads (<see cref="Hadamard"/>), sizes rounded up to 32: F16 scales [size / 32][16 tokens], rounded up to 64 bytes, then codes. Those of
/// keys lie as in packed weights whose rows are the tokens (<see cref="PackedForm"/>), those of values [size / 32][16
/// tokens][32 values], in four bits value i low and value i + 16 high in byte i.
/// </remarks>
/// <param name="KvHeads">Key/value heads.</param>
/// <param name="KeySize">Values per key head.</param>
/// <param name="ValueSize">Values per value head.</param>
/// <param name="Format">Storage of keys and of values.</param>
public sealed record KvLayout(int KvHeads, int KeySize, int ValueSize, KvFormats Format)
{
    /// <summary>Tokens per block.</summary>
    public const int BlockTokens = 16;

    /// <summary>Bytes of the keys of a block.</summary>
    public long KeyBlockBytes => KvHeads * KeyHeadBytes;

    /// <summary>Bytes of the values of a block.</summary>
    public long ValueBlockBytes => KvHeads * ValueHeadBytes;

    /// <summary>Bytes of a block.</summary>
    public long BlockBytes => KeyBlockBytes + ValueBlockBytes;

    /// <summary>Groups of 16 values of a head, those of padding included.</summary>
    internal int ValueGroups => IsQuantized(Format.Values) ? (ValueSize + 31) / 32 * 2 : (ValueSize + 15) / 16;

    internal long KeyHeadBytes => HeadBytes(Format.Keys, KeySize);

    internal long ValueHeadBytes => HeadBytes(Format.Values, ValueGroups * 16);

    internal static bool IsQuantized(KvFormat format) => format is KvFormat.Q8_0 or KvFormat.Q4_0;

    /// <summary>Bytes of a float of a format without scales.</summary>
    internal static int ElementBytes(KvFormat format) => format switch { KvFormat.F32 => 4, KvFormat.F16 or KvFormat.BF16 => 2, _ => 1 };

    /// <summary>What kernels take for one: FP8 is read as if its bits were F16's, which divides it by 256.</summary>
    internal static float Unit(KvFormat format) => format == KvFormat.FP8 ? 1f / 256 : 1;

    /// <summary>The packed weights whose layout the keys of a format with scales have.</summary>
    internal static PackedForm KeyForm(KvFormat format) => PackedForm.Of(format == KvFormat.Q8_0 ? WeightFormat.Q8_0 : WeightFormat.Q4_0);

    /// <summary>Bytes of the scales of a head of so many values, after which its codes begin.</summary>
    internal static long ScaleBytes(int size) => ((size + 31L) / 32 * 32 + 63) & ~63L;

    private static long HeadBytes(KvFormat format, int size) => IsQuantized(format)
        ? ScaleBytes(size) + (size + 31L) / 32 * (format == KvFormat.Q8_0 ? 512 : 256)
        : (long)size * BlockTokens * ElementBytes(format);
}
