namespace Kvasir.Checkpoints.Tokenizers.Splitting;

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

/// <summary>
/// Cuts before each group of three ASCII digits counted from the end of their run: <c>(?=(\d{3})+(?!\d))</c>, in one walk.
/// </summary>
internal sealed class AsciiDigitGroupSplitter : WordSplitter
{
    private const int Group = 3;

    /// <inheritdoc/>
    public override int End(ReadOnlySpan<byte> text, int start)
    {
        int at = start;
        // After a cut what is left of the run is a multiple of three: no need to count it again.
        if (start > 0 && IsDigit(text, start) && IsDigit(text, (at = start + Group)))
            return at;
        while (true)
        {
            while (at < text.Length && !IsDigit(text, at))
                at++;
            if (at == text.Length)
                return at;
            int end = at;
            while (IsDigit(text, end))
                end++;
            int cut = at + (end - at) % Group;
            if (cut == start)
                cut += Group;
            if (cut < end)
                return cut;
            at = end;
        }
    }

    private static bool IsDigit(ReadOnlySpan<byte> text, int at) => at < text.Length && text[at] is >= (byte)'0' and <= (byte)'9';
}
