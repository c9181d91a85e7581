using System.Runtime.CompilerServices;

namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>Walking valid UTF-8 by code points. Text comes from a .NET string, so that it is always valid (lone surrogates became U+FFFD).</summary>
internal static class Utf8Text
{
    /// <summary>Bytes of the code point that starts with <paramref name="lead"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Length(byte lead) => lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

    /// <summary>The code point at <paramref name="at"/> and its length in bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int CodePoint(ReadOnlySpan<byte> text, int at, out int length)
    {
        int b = text[at];
        if (b < 0x80)
        {
            length = 1;
            return b;
        }
        return Multibyte(text, at, b, out length);
    }

    /// <summary>The start of the code point that ends before <paramref name="at"/>.</summary>
    public static int Before(ReadOnlySpan<byte> text, int at)
    {
        do
            at--;
        while (at > 0 && (text[at] & 0xC0) == 0x80);
        return at;
    }

    private static int Multibyte(ReadOnlySpan<byte> text, int at, int b, out int length)
    {
        if (b < 0xE0)
        {
            length = 2;
            return (b & 0x1F) << 6 | text[at + 1] & 0x3F;
        }
        if (b < 0xF0)
        {
            length = 3;
            return (b & 0x0F) << 12 | (text[at + 1] & 0x3F) << 6 | text[at + 2] & 0x3F;
        }
        length = 4;
        return (b & 0x07) << 18 | (text[at + 1] & 0x3F) << 12 | (text[at + 2] & 0x3F) << 6 | text[at + 3] & 0x3F;
    }
}
