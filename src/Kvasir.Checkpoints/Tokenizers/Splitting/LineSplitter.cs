namespace Kvasir.Checkpoints.Tokenizers.Splitting;

/// <summary>Runs of line feeds and runs of anything else: <c>[^\n]+|[\n]+</c>.</summary>
internal sealed class LineSplitter : WordSplitter
{
    /// <inheritdoc/>
    public override int End(ReadOnlySpan<byte> text, int start)
    {
        int length = text[start] == '\n' ? text[start..].IndexOfAnyExcept((byte)'\n') : text[start..].IndexOf((byte)'\n');
        return length < 0 ? text.Length : start + length;
    }
}

/// <summary>
/// Runs of numbers in threes counted from their end: 1234567 is 1, 234, 567. Text before a run stays with its first group,
/// as in llama.cpp; the splitter after this one parts them.
/// </summary>
internal sealed class DigitGroupSplitter : WordSplitter
{
    /// <inheritdoc/>
    public override int End(ReadOnlySpan<byte> text, int start)
    {
        int digits = CharKinds.RunEnd(text, start, ~CharKind.Number);
        if (digits == text.Length)
            return digits;
        int count = 0;
        // Within a run what is left is a multiple of three: no need to count it again.
        if (digits > start || start == 0 || CharKinds.At(text, Utf8Text.Before(text, start), out _) != CharKind.Number)
        {
            int end = CharKinds.RunEnd(text, digits, CharKind.Number);
            for (int at = digits; at < end; count++)
                at += Utf8Text.Length(text[at]);
        }
        int cut = digits;
        for (int i = count % 3 == 0 ? 3 : count % 3; i > 0; i--)
            cut += Utf8Text.Length(text[cut]);
        return cut;
    }
}

/// <summary>White space at the end of the text, and what is before it: <c>\s+$</c>.</summary>
internal sealed class TrailingSpaceSplitter : WordSplitter
{
    /// <inheritdoc/>
    public override int End(ReadOnlySpan<byte> text, int start)
    {
        int tail = text.Length;
        while (tail > start && CharKinds.At(text, Utf8Text.Before(text, tail), out _) is CharKind.Space or CharKind.LineEnd)
            tail = Utf8Text.Before(text, tail);
        return tail > start ? tail : text.Length;
    }
}
