using System.Text;

namespace Kvasir.Checkpoints.Tokenizers.Models;

/// <summary>WordPiece: the longest token that a word begins with, then the longest continuation, and so on; a word that does not come out even is unknown.</summary>
internal sealed class WordPieceModel
{
    private readonly ByteStringTable _starts;
    private readonly ByteStringTable _continuations;
    private readonly int _unknown;
    private readonly int _longestWord;

    /// <summary>Builds the model.</summary>
    /// <param name="starts">Pieces that begin words, with their tokens.</param>
    /// <param name="continuations">Pieces that continue words, with their tokens.</param>
    /// <param name="unknown">The token for unknown words.</param>
    /// <param name="longestWord">Characters of the longest word that is looked at.</param>
    public WordPieceModel(IReadOnlyList<(string Text, int Token)> starts, IReadOnlyList<(string Text, int Token)> continuations, int unknown, int longestWord = int.MaxValue)
    {
        _starts = Table(starts);
        _continuations = Table(continuations);
        _unknown = unknown;
        _longestWord = longestWord;
    }

    /// <summary>Appends the tokens of one word.</summary>
    public void Encode(ReadOnlySpan<byte> word, List<int> output)
    {
        int before = output.Count;
        bool unknown = word.Length > _longestWord && Encoding.UTF8.GetCharCount(word) > _longestWord;
        for (int at = 0; at < word.Length && !unknown;)
        {
            var table = at == 0 ? _starts : _continuations;
            int length = Math.Min(word.Length - at, table.LongestKey), token = -1;
            while (length > 0 && (token = table.Get(word.Slice(at, length))) < 0)
                length--;
            if (length == 0)
            {
                unknown = true;
                break;
            }
            output.Add(token);
            at += length;
        }
        if (!unknown)
            return;
        output.RemoveRange(before, output.Count - before);
        if (_unknown >= 0)
            output.Add(_unknown);
    }

    private static ByteStringTable Table(IReadOnlyList<(string Text, int Token)> pieces)
    {
        var table = new ByteStringTable(pieces.Count, pieces.Count * 8);
        foreach (var (text, token) in pieces)
            table.TryAdd(Encoding.UTF8.GetBytes(text), token);
        return table;
    }
}
