using System.Text;
using Kvasir.Checkpoints.Tokenizers.Patterns;
using Kvasir.Checkpoints.Tokenizers.Splitting;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>What becomes of a delimiter that text is split at.</summary>
internal enum SplitBehavior
{
    Removed,
    Isolated,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

/// <summary>One step of a tokenizer.json's <c>pre_tokenizer</c>: a piece of text to smaller ones.</summary>
internal abstract class PreTokenizationStep
{
    /// <summary>Appends the pieces of a piece.</summary>
    /// <param name="piece">Valid UTF-8.</param>
    /// <param name="atStart">Whether the piece begins the whole text.</param>
    /// <param name="output">Pieces in order.</param>
    public abstract void Apply(byte[] piece, bool atStart, List<byte[]> output);
}

/// <summary>Cuts as a splitter does; nothing is lost.</summary>
internal sealed class IsolatingStep(WordSplitter splitter) : PreTokenizationStep
{
    /// <summary>The splitter.</summary>
    public WordSplitter Splitter { get; } = splitter;

    /// <inheritdoc/>
    public override void Apply(byte[] piece, bool atStart, List<byte[]> output)
    {
        for (int at = 0; at < piece.Length;)
        {
            int end = Splitter.End(piece, at);
            output.Add(piece[at..end]);
            at = end;
        }
    }
}

/// <summary>Splits at what a pattern matches.</summary>
internal sealed class DelimiterStep(PatternSplitter pattern, SplitBehavior behavior, bool invert) : PreTokenizationStep
{
    /// <inheritdoc/>
    public override void Apply(byte[] piece, bool atStart, List<byte[]> output)
    {
        var spans = new List<(int Start, int End, bool IsDelimiter)>();
        int at = 0;
        while (pattern.TryFind(piece, at, out int start, out int end))
        {
            if (start > at)
                spans.Add((at, start, invert));
            spans.Add((start, end, !invert));
            at = end;
        }
        if (at < piece.Length)
            spans.Add((at, piece.Length, invert));
        foreach (var (start, end, isDelimiter) in Joined(spans))
            if (!(isDelimiter && behavior == SplitBehavior.Removed))
                output.Add(piece[start..end]);
    }

    private List<(int Start, int End, bool IsDelimiter)> Joined(List<(int Start, int End, bool IsDelimiter)> spans)
    {
        if (behavior is SplitBehavior.Removed or SplitBehavior.Isolated)
            return spans;
        var joined = new List<(int Start, int End, bool IsDelimiter)>(spans.Count);
        // From the right, for a delimiter takes the text after it only if that has not taken another.
        for (int i = spans.Count - 1; i >= 0; i--)
        {
            var span = spans[i];
            bool joinsNext = joined.Count > 0 && behavior switch
            {
                SplitBehavior.MergedWithPrevious => !span.IsDelimiter && joined[^1].IsDelimiter,
                SplitBehavior.MergedWithNext => span.IsDelimiter && !joined[^1].IsDelimiter,
                _ => span.IsDelimiter == joined[^1].IsDelimiter,
            };
            if (joinsNext)
                joined[^1] = (span.Start, joined[^1].End, span.IsDelimiter);
            else
                joined.Add(span);
        }
        joined.Reverse();
        return joined;
    }
}

/// <summary>Puts a space before a piece that begins with none.</summary>
internal sealed class LeadingSpaceStep : PreTokenizationStep
{
    /// <inheritdoc/>
    public override void Apply(byte[] piece, bool atStart, List<byte[]> output) =>
        output.Add(piece.Length > 0 && piece[0] == ' ' ? piece : [(byte)' ', .. piece]);
}

/// <summary>Writes a mark for each space, and splits before marks.</summary>
internal sealed class MetaspaceStep(string mark, string scheme, bool splits) : PreTokenizationStep
{
    private readonly byte[] _mark = Encoding.UTF8.GetBytes(mark);

    /// <inheritdoc/>
    public override void Apply(byte[] piece, bool atStart, List<byte[]> output)
    {
        string marked = Encoding.UTF8.GetString(piece).Replace(" ", mark, StringComparison.Ordinal);
        bool prepends = scheme == "always" || (scheme == "first" && atStart);
        if (prepends && !marked.StartsWith(mark, StringComparison.Ordinal))
            marked = mark + marked;
        byte[] bytes = Encoding.UTF8.GetBytes(marked);
        if (!splits)
        {
            output.Add(bytes);
            return;
        }
        for (int at = 0; at < bytes.Length;)
        {
            int next = bytes.AsSpan(at + 1).IndexOf(_mark);
            int end = next < 0 ? bytes.Length : at + 1 + next;
            output.Add(bytes[at..end]);
            at = end;
        }
    }
}
