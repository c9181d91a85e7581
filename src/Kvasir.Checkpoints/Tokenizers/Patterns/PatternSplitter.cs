using Kvasir.Checkpoints.Tokenizers.Splitting;

namespace Kvasir.Checkpoints.Tokenizers.Patterns;

/// <summary>Cuts text by a regular expression: each match is a word, and so is what lies between two matches.</summary>
internal sealed class PatternSplitter : WordSplitter
{
    private readonly Instruction[] _program;

    /// <summary>Takes a pattern.</summary>
    public PatternSplitter(string pattern, bool asciiDigits = false) => _program = PatternCompiler.Compile(pattern, asciiDigits);

    /// <inheritdoc/>
    public override int End(ReadOnlySpan<byte> text, int start)
    {
        for (int at = start; at < text.Length; at += Utf8Text.Length(text[at]))
        {
            int end = PatternMachine.Match(_program, text, at);
            if (end < 0 || (end == at && at == start))
                continue;
            return at > start ? at : end;
        }
        return text.Length;
    }

    /// <summary>The first match from <paramref name="from"/>; false when there is none.</summary>
    public bool TryFind(ReadOnlySpan<byte> text, int from, out int start, out int end)
    {
        for (start = from; start < text.Length; start += Utf8Text.Length(text[start]))
        {
            end = PatternMachine.Match(_program, text, start);
            if (end > start)
                return true;
        }
        end = start;
        return false;
    }
}
