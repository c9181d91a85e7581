using System.Runtime.CompilerServices;

namespace Kvasir.Checkpoints.Tokenizers.Splitting;

/// <summary>
/// Words of capitals followed by small letters: <c>P?U*L+|P?U+L*</c>, where U are capitals, L small letters, and letters without case are both;
/// P is the optional character before the word.
/// </summary>
internal sealed class LetterCase
{
    private const byte Upper = 1, Lower = 2, Both = Upper | Lower;

    private readonly byte[] _byCategory = new byte[32];

    /// <summary>Takes the rule.</summary>
    public LetterCase(LetterRule rule)
    {
        for (int category = 0; category < 32; category++)
        {
            uint mask = 1u << category;
            if ((mask & CategoryMask.Letter) != 0)
                _byCategory[category] = rule == LetterRule.Cased ? category switch { 0 or 2 => Upper, 1 => Lower, _ => Both } : Both;
            else if ((mask & CategoryMask.Mark) != 0 && rule != LetterRule.CasedAscii)
                _byCategory[category] = Both;
        }
    }

    /// <summary>The end of the word at <paramref name="start"/>; <paramref name="start"/> when there is none.</summary>
    /// <param name="text">Valid UTF-8.</param>
    /// <param name="start">Where the word, or the character before it, would begin.</param>
    /// <param name="before">Bytes of the optional character before the word; 0 when it cannot be one.</param>
    public int WordEnd(ReadOnlySpan<byte> text, int start, int before)
    {
        int end;
        if (before > 0 && (end = SmallEnding(text, start + before)) > start + before)
            return end;
        if ((end = SmallEnding(text, start)) > start)
            return end;
        if (before > 0 && (end = Run(text, start + before, Upper)) > start + before)
            return end;
        return Run(text, start, Upper);
    }

    /// <summary><c>U*L+</c>: capitals give letters back, as few as it takes, for a small one to follow.</summary>
    private int SmallEnding(ReadOnlySpan<byte> text, int start)
    {
        int at = start, lastBoth = -1;
        while (at < text.Length)
        {
            byte letterCase = At(text, at, out int length);
            if ((letterCase & Upper) == 0)
                break;
            if (letterCase == Both)
                lastBoth = at;
            at += length;
        }
        int end = Run(text, at, Lower);
        if (end > at)
            return end;
        return lastBoth < 0 ? start : lastBoth + Utf8Text.Length(text[lastBoth]);
    }

    private int Run(ReadOnlySpan<byte> text, int at, byte letterCase)
    {
        while (at < text.Length && (At(text, at, out int length) & letterCase) != 0)
            at += length;
        return at;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private byte At(ReadOnlySpan<byte> text, int at, out int length)
    {
        int b = text[at];
        if (b < 0x80)
        {
            length = 1;
            return (uint)(b - 'a') < 26 ? Lower : (uint)(b - 'A') < 26 ? Upper : (byte)0;
        }
        return _byCategory[UnicodeTable.Entry(Utf8Text.CodePoint(text, at, out length)) & 31];
    }
}
