using System.Text;
using System.Text.RegularExpressions;

namespace Kvasir.DemoModel.Vocabulary;

/// <summary>
/// A byte-level BPE vocabulary: 256 bytes in GPT-2's alphabet, then the merges in order, then the special tokens.
/// Text is first cut by Qwen2's pattern, which keeps every digit apart.
/// </summary>
internal sealed partial class BytePairVocabulary
{
    public const string EndOfText = "<|endoftext|>";
    public const string MessageStart = "<|im_start|>";
    public const string MessageEnd = "<|im_end|>";

    /// <summary>Qwen2's pre-tokenizer pattern (tokenizer.json of Qwen2; llama.cpp knows it as "qwen2").</summary>
    public const string Pattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private readonly Dictionary<(int, int), int> _ranks = [];
    private readonly Dictionary<string, int[]> _words = [];
    private readonly byte[][] _bytes;

    public BytePairVocabulary(IReadOnlyList<(int Left, int Right)> merges)
    {
        Merges = merges;
        _bytes = new byte[256 + merges.Count][];
        for (int i = 0; i < 256; i++)
            _bytes[i] = [(byte)ByteOrder[i]];
        for (int i = 0; i < merges.Count; i++)
        {
            _ranks[merges[i]] = i;
            _bytes[256 + i] = [.. _bytes[merges[i].Left], .. _bytes[merges[i].Right]];
        }
    }

    /// <summary>Pairs of ids; the n-th makes id 256 + n.</summary>
    public IReadOnlyList<(int Left, int Right)> Merges { get; }

    public int EndOfTextId => 256 + Merges.Count;

    public int MessageStartId => EndOfTextId + 1;

    public int MessageEndId => EndOfTextId + 2;

    public int Size => EndOfTextId + 3;

    /// <summary>Ids of plain text, without special tokens.</summary>
    public List<int> Encode(string text)
    {
        var ids = new List<int>(text.Length / 3 + 1);
        foreach (ValueMatch match in PatternRegex().EnumerateMatches(text))
        {
            string word = text.Substring(match.Index, match.Length);
            if (!_words.TryGetValue(word, out int[]? known))
                _words[word] = known = Merge(word);
            ids.AddRange(known);
        }
        return ids;
    }

    public string Decode(IEnumerable<int> ids) =>
        Encoding.UTF8.GetString([.. ids.Where(id => id < EndOfTextId).SelectMany(id => _bytes[id])]);

    /// <summary>The token as vocabulary files spell it, in GPT-2's printable alphabet.</summary>
    public string Spell(int id) => id == EndOfTextId ? EndOfText : id == MessageStartId ? MessageStart : id == MessageEndId ? MessageEnd
        : string.Concat(_bytes[id].Select(b => Printable[b]));

    private int[] Merge(string word)
    {
        var ids = Encoding.UTF8.GetBytes(word).Select(b => IdOfByte[b]).ToList();
        while (true)
        {
            int best = int.MaxValue, at = -1;
            for (int i = 0; i + 1 < ids.Count; i++)
            {
                if (_ranks.TryGetValue((ids[i], ids[i + 1]), out int rank) && rank < best)
                    (best, at) = (rank, i);
            }
            if (at < 0)
                return [.. ids];
            ids[at] = 256 + best;
            ids.RemoveAt(at + 1);
        }
    }

    [GeneratedRegex(Pattern)]
    internal static partial Regex PatternRegex();
}
