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
