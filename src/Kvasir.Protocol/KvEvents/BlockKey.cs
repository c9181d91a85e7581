using System.Buffers.Binary;
using System.IO.Hashing;

namespace Kvasir.Protocol.KvEvents;

/// <summary>
/// The name an engine gives a block. It is opaque: engines hash with their own algorithms and random seeds, so a key is
/// only ever compared with keys of the same worker.
/// </summary>
/// <param name="High">Upper half.</param>
/// <param name="Low">Lower half; the whole of an integer key.</param>
public readonly record struct BlockKey(ulong High, ulong Low)
{
    /// <summary>An integer key; signed keys pass as their two's complement.</summary>
    public static BlockKey FromInteger(ulong value) => new(0, value);

    /// <summary>A byte-string key: up to 16 bytes as they are (big-endian), longer ones by their XxHash128.</summary>
    public static BlockKey FromBytes(ReadOnlySpan<byte> bytes)
    {
        Span<byte> padded = stackalloc byte[16];
        if (bytes.Length <= 16) bytes.CopyTo(padded[(16 - bytes.Length)..]);
        else XxHash128.Hash(bytes, padded);
        return new(BinaryPrimitives.ReadUInt64BigEndian(padded), BinaryPrimitives.ReadUInt64BigEndian(padded[8..]));
    }

    /// <summary>Hexadecimal, without leading zeros of the upper half.</summary>
    public override string ToString() => High == 0 ? $"{Low:x16}" : $"{High:x16}{Low:x16}";
}
