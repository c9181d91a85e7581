using System.Runtime.CompilerServices;

namespace Kvasir.Checkpoints.Tokenizers.Splitting;

/// <summary>What the word rules distinguish: letters, numbers, marks, white space, line ends, everything else.</summary>
[Flags]
internal enum CharKind : byte
{
    /// <summary>Past the end of the text.</summary>
    None = 0,

    /// <summary>\p{L}.</summary>
    Letter = 1,

    /// <summary>\p{N}.</summary>
    Number = 2,

    /// <summary>\s, without the line ends.</summary>
    Space = 4,

    /// <summary>Carriage return or line feed; also white space.</summary>
    LineEnd = 8,

    /// <summary>\p{M}.</summary>
    Mark = 16,

    /// <summary>None of the above: punctuation, symbols, controls, unassigned.</summary>
    Other = 32,

    /// <summary>Any white space.</summary>
    White = Space | LineEnd,
}

internal static class CharKinds
{
    private static readonly CharKind[] Ascii = [.. Enumerable.Range(0, 128).Select(Classify)];

    private static readonly CharKind[] ByCategory = [.. Enumerable.Range(0, 32).Select(category => Classify(1u << category))];

    /// <summary>The kind of the code point at <paramref name="at"/>, and its length; <see cref="CharKind.None"/> and 0 at the end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static CharKind At(ReadOnlySpan<byte> text, int at, out int length)
    {
        if ((uint)at >= (uint)text.Length)
        {
            length = 0;
            return CharKind.None;
        }
        int b = text[at];
        if (b < 128)
        {
            length = 1;
            return Ascii[b];
        }
        return Wide(text, at, out length);
    }

    /// <summary>The end of the run of characters whose kind is in <paramref name="kinds"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int RunEnd(ReadOnlySpan<byte> text, int at, CharKind kinds)
    {
        var ascii = Ascii;
        while ((uint)at < (uint)text.Length)
        {
            int b = text[at];
            if (b < 128)
            {
                if ((ascii[b] & kinds) == 0)
                    break;
                at++;
            }
            else
            {
                if ((Wide(text, at, out int length) & kinds) == 0)
                    break;
                at += length;
            }
        }
        return at;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static CharKind Wide(ReadOnlySpan<byte> text, int at, out int length)
    {
        byte entry = UnicodeTable.Entry(Utf8Text.CodePoint(text, at, out length));
        return (entry & UnicodeTable.SpaceBit) != 0 ? CharKind.Space : ByCategory[entry & 31];
    }

    private static CharKind Classify(uint category) =>
        (category & CategoryMask.Letter) != 0 ? CharKind.Letter
        : (category & CategoryMask.Number) != 0 ? CharKind.Number
        : (category & CategoryMask.Mark) != 0 ? CharKind.Mark
        : CharKind.Other;

    private static CharKind Classify(int ascii) =>
        ascii is '\r' or '\n' ? CharKind.LineEnd
        : ascii == ' ' || ascii is >= 9 and <= 13 ? CharKind.Space
        : char.IsAsciiLetter((char)ascii) ? CharKind.Letter
        : char.IsAsciiDigit((char)ascii) ? CharKind.Number
        : CharKind.Other;
}
