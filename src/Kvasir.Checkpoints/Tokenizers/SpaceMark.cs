namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>U+2581, which SentencePiece writes for a space.</summary>
internal static class SpaceMark
{
    /// <summary>The character.</summary>
    public const char Character = '\u2581';

    /// <summary>The character in UTF-8.</summary>
    public static ReadOnlySpan<byte> Bytes => [0xE2, 0x96, 0x81];

    /// <summary>The text with marks for spaces, and one more before it where asked.</summary>
    public static byte[] Escape(ReadOnlySpan<byte> text, bool spaceBefore)
    {
        var escaped = new byte[text.Length + 2 * text.Count((byte)' ') + (spaceBefore ? 3 : 0)];
        int at = 0;
        if (spaceBefore)
        {
            Bytes.CopyTo(escaped);
            at = 3;
        }
        foreach (byte b in text)
        {
            if (b == ' ')
            {
                Bytes.CopyTo(escaped.AsSpan(at));
                at += 3;
            }
            else
            {
                escaped[at++] = b;
            }
        }
        return escaped;
    }
}
