namespace Kvasir.Checkpoints.Tokenizers.Splitting;

/// <summary>
/// GPT-2's rule: <c>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c>.
/// </summary>
internal sealed class Gpt2Splitter : WordSplitter
{
    /// <summary>The pattern that this class is a faster form of.</summary>
    public const string Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private const CharKind Marks = CharKind.Other | CharKind.Mark;

    /// <inheritdoc/>
    public override int End(ReadOnlySpan<byte> text, int start)
    {
        byte first = text[start];
        if (first == (byte)'\'')
        {
            int contraction = Contraction.Length(text, start, ignoreCase: false);
            if (contraction > 0)
                return start + contraction;
        }
        int at = first == ' ' ? start + 1 : start;
        var kind = CharKinds.At(text, at, out int length);
        if ((kind & (CharKind.White | CharKind.None)) == 0 && kind != CharKind.None)
        {
            var run = kind is CharKind.Letter or CharKind.Number ? kind : Marks;
            return CharKinds.RunEnd(text, at + length, run);
        }
        return WhiteSpace.End(text, start);
    }
}

/// <summary><c>\s+(?!\S)|\s+</c>: a run of white space leaves its last character to the word that follows.</summary>
internal static class WhiteSpace
{
    public static int End(ReadOnlySpan<byte> text, int start)
    {
        int end = CharKinds.RunEnd(text, start, CharKind.White);
        return Leave(text, start, end);
    }

    /// <summary>The cut of a run of white space that ends at <paramref name="end"/>.</summary>
    public static int Leave(ReadOnlySpan<byte> text, int start, int end)
    {
        if (end == text.Length)
            return end;
        int last = Utf8Text.Before(text, end);
        return last > start ? last : end;
    }
}

/// <summary><c>'s|'t|'re|'ve|'m|'ll|'d</c>.</summary>
internal static class Contraction
{
    /// <summary>Bytes of the contraction whose apostrophe is at <paramref name="at"/>; 0 when there is none.</summary>
    /// <param name="text">Valid UTF-8.</param>
    /// <param name="at">Where the apostrophe would be.</param>
    /// <param name="ignoreCase">Whether capitals count.</param>
    /// <param name="foldLongS">Whether U+017F counts as an s, as full case folding has it.</param>
    public static int Length(ReadOnlySpan<byte> text, int at, bool ignoreCase, bool foldLongS = false)
    {
        if (at + 1 >= text.Length || text[at] != '\'')
            return 0;
        int fold = ignoreCase ? 0x20 : 0;
        int a = text[at + 1];
        if (foldLongS && a == 0xC5 && text[at + 2] == 0xBF)
            return 3;
        a |= a < 0x80 ? fold : 0;
        if (a is 's' or 't' or 'm' or 'd')
            return 2;
        if (at + 2 >= text.Length)
            return 0;
        int b = text[at + 2];
        b |= b < 0x80 ? fold : 0;
        return (a, b) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }
}
