using System.Text;

namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>
/// GPT-2's spelling of bytes as printable characters, in which byte-level vocabularies and merges are written:
/// printable Latin-1 stands for itself, the other 68 bytes are U+0100 and on (openai/gpt-2, encoder.py).
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Characters = MakeCharacters();
    private static readonly short[] Bytes = MakeBytes();

    /// <summary>The character that stands for a byte.</summary>
    public static char Character(byte value) => Characters[value];

    /// <summary>The bytes that a spelled text stands for; false when a character stands for none.</summary>
    /// <param name="text">A token or a part of a merge.</param>
    /// <param name="bytes">At least as long as the text.</param>
    public static bool TryDecode(ReadOnlySpan<char> text, Span<byte> bytes)
    {
        for (int i = 0; i < text.Length; i++)
        {
            int value = text[i] < Bytes.Length ? Bytes[text[i]] : -1;
            if (value < 0)
                return false;
            bytes[i] = (byte)value;
        }
        return true;
    }

    /// <summary>The bytes of a token's text; characters that stand for none are taken as they are, in UTF-8.</summary>
    public static byte[] DecodeLoosely(string text)
    {
        var bytes = new byte[text.Length];
        if (TryDecode(text, bytes))
            return bytes;
        var loose = new List<byte>(text.Length * 2);
        foreach (var rune in text.EnumerateRunes())
        {
            int value = rune.Value < Bytes.Length ? Bytes[rune.Value] : -1;
            if (value >= 0)
                loose.Add((byte)value);
            else
                loose.AddRange(Encoding.UTF8.GetBytes(rune.ToString()));
        }
        return [.. loose];
    }

    private static char[] MakeCharacters()
    {
        var characters = new char[256];
        int next = 256;
        for (int value = 0; value < 256; value++)
            characters[value] = (char)(value is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or >= 0xAE ? value : next++);
        return characters;
    }

    private static short[] MakeBytes()
    {
        var bytes = new short[Characters.Max() + 1];
        Array.Fill(bytes, (short)-1);
        for (int value = 0; value < 256; value++)
            bytes[Characters[value]] = (short)value;
        return bytes;
    }
}
