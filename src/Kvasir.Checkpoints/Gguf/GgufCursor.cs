using System.Buffers.Binary;
using System.Text;

namespace Kvasir.Checkpoints.Gguf;

/// <summary>Reads GGUF's little-endian primitives from a mapped file, never past its end.</summary>
internal sealed class GgufCursor(MappedFile file, long position = 0)
{
    // No name or text in a checkpoint's header comes near this; a larger length is damage.
    private const long MaximumTextBytes = 1L << 30;

    public long Position { get; private set; } = position;

    public long Remaining => file.Length - Position;

    public byte Byte() => Take(1)[0];

    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));

    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    /// <summary>A number of things that each take at least <paramref name="bytesEach"/> bytes of what follows.</summary>
    public long Count(string what, long bytesEach)
    {
        var count = UInt64();
        if (count > (ulong)(Remaining / bytesEach))
            throw new CheckpointException($"{file.FilePath} claims {count} {what}, more than its remaining {Remaining} bytes can hold; it is damaged or truncated.");
        return (long)count;
    }

    /// <summary>The bytes of a length-prefixed text.</summary>
    public ReadOnlySpan<byte> TextBytes()
    {
        var length = UInt64();
        if (length > (ulong)Math.Min(Remaining, MaximumTextBytes))
            throw new CheckpointException($"{file.FilePath} has a text of {length} bytes at offset {Position - 8}, but only {Remaining} bytes follow; it is damaged or truncated.");
        return Take((int)length);
    }

    // Converters write names of some dozens of bytes.
    private const int MaximumNameBytes = 1024;

    /// <summary>The name of a key or tensor, short enough to appear in messages.</summary>
    public string Name()
    {
        var bytes = TextBytes();
        return bytes.Length <= MaximumNameBytes ? Encoding.UTF8.GetString(bytes)
            : throw new CheckpointException($"{file.FilePath} has a name of {bytes.Length} bytes before offset {Position}; at most {MaximumNameBytes} are read. It is damaged.");
    }

    public string Text() => Encoding.UTF8.GetString(TextBytes());

    public void Skip(long bytes)
    {
        Demand(bytes);
        Position += bytes;
    }

    private ReadOnlySpan<byte> Take(int bytes)
    {
        Demand(bytes);
        var span = file.Bytes(Position, bytes);
        Position += bytes;
        return span;
    }

    private void Demand(long bytes)
    {
        if (bytes < 0 || bytes > Remaining)
            throw new CheckpointException($"{file.FilePath} ends at byte {file.Length}, inside its header (at offset {Position}); it is truncated.");
    }
}
