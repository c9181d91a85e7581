namespace Kvasir.Checkpoints.Tokenizers.Splitting;

/// <summary>
/// Cuts by <see cref="WordRules"/>: contractions, words with an optional character before them, numbers, punctuation with an
/// optional space before it, white space up to the last line end, other white space.
/// </summary>
internal sealed class WordRulesSplitter(WordRules rules) : WordSplitter
{
    private readonly CharKind _letters = rules.Letters switch
    {
        LetterRule.Letters or LetterRule.CasedAscii => CharKind.Letter,
        _ => CharKind.Letter | CharKind.Mark,
    };

    private readonly CharKind _punctuation = rules.MarksAreNoPunctuation ? CharKind.Other : CharKind.Other | CharKind.Mark;

    private readonly bool _cased = rules.Letters is LetterRule.Cased or LetterRule.CasedAscii or LetterRule.CasedAsciiAndMarks;

    private readonly LetterCase _case = new(rules.Letters);

    /// <inheritdoc/>
    public override int End(ReadOnlySpan<byte> text, int start)
    {
        if (rules.ContractionsApart && text[start] == '\'')
        {
            int contraction = Contraction.Length(text, start, ignoreCase: true, rules.FoldsLongS);
            if (contraction > 0)
                return start + contraction;
        }
        var kind = CharKinds.At(text, start, out int length);
        int end = WordEnd(text, start, kind, length);
        if (end > start)
            return end;
        if (kind == CharKind.Number)
            return NumberEnd(text, start + length);
        end = PunctuationEnd(text, start, kind);
        return end > start ? end : WhiteSpaceEnd(text, start);
    }

    private int WordEnd(ReadOnlySpan<byte> text, int start, CharKind kind, int length)
    {
        if ((kind & (CharKind.Number | CharKind.LineEnd)) != 0)
            return start;
        int end;
        if (_cased)
        {
            end = _case.WordEnd(text, start, kind == CharKind.Letter ? 0 : length);
        }
        else
        {
            int run = CharKinds.RunEnd(text, start + length, _letters);
            end = (kind & _letters) != 0 || run > start + length ? run : start;
        }
        if (end > start && rules.ContractionsAttached)
            end += Contraction.Length(text, end, ignoreCase: true, rules.FoldsLongS);
        return end;
    }

    private int NumberEnd(ReadOnlySpan<byte> text, int at)
    {
        if (rules.Digits == 0)
            return CharKinds.RunEnd(text, at, CharKind.Number);
        for (int count = 1; count < rules.Digits && CharKinds.At(text, at, out int length) == CharKind.Number; count++)
            at += length;
        return at;
    }

    private int PunctuationEnd(ReadOnlySpan<byte> text, int start, CharKind kind)
    {
        int from = text[start] == ' ' ? start + 1 : start;
        if (from == start && (kind & _punctuation) == 0)
            return start;
        int end = CharKinds.RunEnd(text, from, _punctuation);
        if (end == from)
            return start;
        if (rules.Tail != TailRule.None)
            while (end < text.Length && (text[end] is (byte)'\r' or (byte)'\n' || (text[end] == '/' && rules.Tail == TailRule.LineEndsAndSlashes)))
                end++;
        return end;
    }

    private int WhiteSpaceEnd(ReadOnlySpan<byte> text, int start)
    {
        int end = CharKinds.RunEnd(text, start, CharKind.White);
        if (end == start)
            return start + Utf8Text.Length(text[start]);
        int lineEnd = text[start..end].LastIndexOfAny((byte)'\r', (byte)'\n');
        if (lineEnd >= 0)
            return start + lineEnd + 1;
        if (rules.HalvesWhiteSpace)
            return HalvedEnd(text, start, end);
        return WhiteSpace.Leave(text, start, end);
    }

    /// <summary><c>\s{512}(?!\S)|\s{256}(?!\S)|…|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}</c>.</summary>
    private static int HalvedEnd(ReadOnlySpan<byte> text, int start, int end)
    {
        int available = 0;
        for (int at = start; at < end && available <= 512; available++)
            at += Utf8Text.Length(text[at]);
        if (end < text.Length && available <= 512)
            available--;
        int count = 512;
        while (count > 1 && count > available)
            count /= 2;
        int cut = start;
        for (int i = 0; i < count; i++)
            cut += Utf8Text.Length(text[cut]);
        return cut;
    }
}
