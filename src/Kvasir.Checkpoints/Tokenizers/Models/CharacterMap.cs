using System.Buffers.Binary;

namespace Kvasir.Checkpoints.Tokenizers.Models;

/// <summary>
/// SentencePiece's precompiled character map: a double array over byte strings (Yata et al. 2007, as in darts-clone) and the
/// NUL-terminated replacements that its leaves point to. An offset that leads outside is no match, never an error.
/// </summary>
internal sealed class CharacterMap
{
    private readonly uint[] _units;
    private readonly byte[] _replacements;

    /// <summary>Reads the blob of a model file.</summary>
    /// <exception cref="CheckpointException">Its length does not fit its header.</exception>
    public CharacterMap(ReadOnlySpan<byte> blob)
    {
        uint size = blob.Length < 4 ? uint.MaxValue : BinaryPrimitives.ReadUInt32LittleEndian(blob);
        if (size > (uint)(blob.Length - 4) || size % 4 != 0)
            throw new CheckpointException($"The precompiled character map has {blob.Length} bytes, which do not hold the double array that its header announces; the file is damaged.");
        _units = new uint[size / 4];
        for (int i = 0; i < _units.Length; i++)
            _units[i] = BinaryPrimitives.ReadUInt32LittleEndian(blob[(4 + 4 * i)..]);
        _replacements = blob[(4 + (int)size)..].ToArray();
    }

    /// <summary>Finds the longest key that the text begins with.</summary>
    public bool TryMatch(ReadOnlySpan<byte> text, out int length, out ReadOnlySpan<byte> replacement)
    {
        length = 0;
        long start = -1;
        uint node = Offset(Unit(0));
        for (int i = 0; i < text.Length && text[i] != 0; i++)
        {
            node ^= text[i];
            uint unit = Unit(node);
            // Bits 0 to 7 and 31: the label. Bit 8: a key ends here, its value is at the child of byte 0.
            if ((unit & 0x800000FF) != text[i])
                break;
            node ^= Offset(unit);
            if ((unit >> 8 & 1) != 0)
            {
                length = i + 1;
                start = Unit(node) & 0x7FFFFFFF;
            }
        }
        int end = start >= 0 && start < _replacements.Length ? _replacements.AsSpan((int)start).IndexOf((byte)0) : -1;
        replacement = end < 0 ? default : _replacements.AsSpan((int)start, end);
        if (end < 0)
            length = 0;
        return end >= 0;
    }

    private uint Unit(uint index) => index < _units.Length ? _units[index] : 0x80000000;

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & 1u << 9) >> 6);
}
