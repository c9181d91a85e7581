using System.Text;
using Kvasir.Checkpoints.Tokenizers.Patterns;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>Finds added tokens as Hugging Face's tokenizers do: from left to right, the longest at each place.</summary>
internal sealed class LeftmostFinder : SpecialTokenFinder
{
    private readonly ByteTrie _trie;
    private readonly TokenEdges[] _edges;

    /// <summary>Takes the tokens to look for.</summary>
    public LeftmostFinder(IEnumerable<(string Text, int Token)> tokens, TokenEdges[] edges)
    {
        _trie = new ByteTrie(tokens.Select(token => (Encoding.UTF8.GetBytes(token.Text), token.Token)));
        _edges = edges;
    }

    /// <inheritdoc/>
    public override void Split(ReadOnlySpan<byte> text, List<TextSegment> segments)
    {
        segments.Clear();
        int done = 0;
        for (int at = _trie.IsEmpty ? -1 : _trie.NextStart(text, 0); at >= 0; at = at < text.Length ? _trie.NextStart(text, at) : -1)
        {
            int length = _trie.LongestMatch(text, at, out int token);
            if (length == 0)
            {
                at++;
                continue;
            }
            int start = at, end = at + length;
            at = end;
            if ((_edges[token] & TokenEdges.SingleWord) != 0 && (IsWordBefore(text, start) || IsWordAt(text, end)))
                continue;
            if ((_edges[token] & TokenEdges.StripsLeft) != 0)
                start = SpacesBefore(text, start, done);
            if ((_edges[token] & TokenEdges.StripsRight) != 0)
                end = Splitting.CharKinds.RunEnd(text, end, Splitting.CharKind.White);
            if (start > done)
                segments.Add(new TextSegment(-1, done, start));
            segments.Add(new TextSegment(token, start, end));
            done = end;
            at = Math.Max(at, end);
        }
        if (done < text.Length)
            segments.Add(new TextSegment(-1, done, text.Length));
    }

    private static int SpacesBefore(ReadOnlySpan<byte> text, int at, int notBefore)
    {
        while (at > notBefore)
        {
            int before = Utf8Text.Before(text, at);
            if (!Splitting.UnicodeTable.IsSpace(Utf8Text.CodePoint(text, before, out _)))
                break;
            at = before;
        }
        return at;
    }

    private static bool IsWordBefore(ReadOnlySpan<byte> text, int at) => at > 0 && IsWordAt(text, Utf8Text.Before(text, at));

    private static bool IsWordAt(ReadOnlySpan<byte> text, int at) => at < text.Length && PatternSets.Word.Contains(Utf8Text.CodePoint(text, at, out _));
}
