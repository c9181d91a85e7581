using System.Text;

namespace Kvasir.Checkpoints.Tokenizers.Models;

/// <summary>
/// Unigram language model: the segmentation of highest total score, found with Viterbi's algorithm (Kudo 2018, arXiv:1804.10959).
/// A character that no token covers costs the lowest score less ten.
/// </summary>
internal sealed class UnigramModel
{
    private const float UnknownPenalty = 10;

    private readonly Vocabulary _vocabulary;
    private readonly ByteTrie _tokens;
    private readonly int _unknown;
    private readonly float _unknownScore;
    private readonly int[]? _byteTokens;

    /// <summary>Builds the model.</summary>
    /// <param name="vocabulary">Tokens with log probabilities.</param>
    /// <param name="texts">What each token stands for; null for one that no text becomes.</param>
    /// <param name="unknown">The token for what is not covered.</param>
    /// <param name="byteTokens">Tokens by byte that spell what is not covered; null where the model has none.</param>
    public UnigramModel(Vocabulary vocabulary, IReadOnlyList<string?> texts, int unknown, int[]? byteTokens = null)
    {
        _vocabulary = vocabulary;
        _unknown = unknown;
        _byteTokens = byteTokens;
        float lowest = float.MaxValue;
        var entries = new List<(byte[], int)>(vocabulary.Size);
        for (int id = 0; id < vocabulary.Size; id++)
        {
            var kind = vocabulary.Kinds[id];
            if (kind == TokenKind.Normal)
                lowest = Math.Min(lowest, vocabulary.Scores[id]);
            if (kind is TokenKind.Normal or TokenKind.UserDefined or TokenKind.Unused && texts[id] is { } text)
                entries.Add((Encoding.UTF8.GetBytes(text), id));
        }
        _tokens = new ByteTrie(entries);
        _unknownScore = lowest - UnknownPenalty;
    }

    private struct Best
    {
        public double Score;
        public int Start;
        public int Token;
    }

    /// <summary>Appends the tokens of normalized text; a run of unknown characters is one token.</summary>
    public void Encode(ReadOnlySpan<byte> text, List<int> output)
    {
        if (text.Length == 0)
            return;
        var best = new Best[text.Length + 1];
        Array.Fill(best, new Best { Score = double.NegativeInfinity, Token = _unknown });
        best[0].Score = 0;
        for (int at = 0; at < text.Length;)
        {
            int length = Utf8Text.Length(text[at]);
            bool covered = false;
            for (int i = at, node = ByteTrie.Root; i < text.Length && (node = _tokens.Child(node, text[i])) >= 0; i++)
            {
                int token = _tokens.Value(node);
                if (token < 0)
                    continue;
                covered |= i + 1 - at == length;
                double score = _vocabulary.Kinds[token] == TokenKind.UserDefined ? 0 : _vocabulary.Scores[token];
                Improve(ref best[i + 1], best[at].Score + score, at, token);
            }
            if (!covered)
                Improve(ref best[at + length], best[at].Score + _unknownScore, at, _unknown);
            at += length;
        }
        AppendPath(text, best, output);
    }

    private static void Improve(ref Best best, double score, int start, int token)
    {
        if (score > best.Score)
            best = new Best { Score = score, Start = start, Token = token };
    }

    private void AppendPath(ReadOnlySpan<byte> text, Best[] best, List<int> output)
    {
        int from = output.Count;
        bool afterUnknown = false;
        for (int end = text.Length; end > 0; end = best[end].Start)
        {
            int token = best[end].Token;
            bool unknown = token == _unknown;
            if (unknown && _byteTokens is not null)
            {
                for (int i = end - 1; i >= best[end].Start; i--)
                    output.Add(_byteTokens[text[i]]);
            }
            else if (token >= 0 && !(unknown && afterUnknown))
            {
                output.Add(token);
            }
            afterUnknown = unknown;
        }
        output.Reverse(from, output.Count - from);
    }
}
