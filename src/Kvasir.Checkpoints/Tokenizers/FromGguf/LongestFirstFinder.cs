using System.Text;

namespace Kvasir.Checkpoints.Tokenizers.FromGguf;

/// <summary>
/// Finds special tokens in text as llama.cpp does: longer tokens first, wherever they are, then shorter ones in what is left.
/// </summary>
internal sealed class LongestFirstFinder : SpecialTokenFinder
{
    private readonly ByteTrie _trie;
    private readonly int[] _lengths;
    private readonly TokenEdges[] _edges;

    private readonly record struct Candidate(int Length, int Token, int Start);

    /// <summary>Builds the search.</summary>
    /// <param name="vocabulary">All tokens.</param>
    /// <param name="kinds">The kinds that are looked for.</param>
    public LongestFirstFinder(Vocabulary vocabulary, params ReadOnlySpan<TokenKind> kinds)
    {
        _lengths = new int[vocabulary.Size];
        _edges = vocabulary.Edges;
        var entries = new List<(byte[] Key, int Value)>();
        for (int id = 0; id < vocabulary.Size; id++)
        {
            if (!kinds.Contains(vocabulary.Kinds[id]))
                continue;
            byte[] bytes = Encoding.UTF8.GetBytes(vocabulary.Texts[id]);
            _lengths[id] = bytes.Length;
            entries.Add((bytes, id));
        }
        _trie = new ByteTrie(entries);
    }

    /// <inheritdoc/>
    public override void Split(ReadOnlySpan<byte> text, List<TextSegment> segments)
    {
        segments.Clear();
        var candidates = Candidates(text);
        if (candidates is null)
        {
            if (text.Length > 0)
                segments.Add(new TextSegment(-1, 0, text.Length));
            return;
        }
        candidates.Sort((a, b) => a.Length != b.Length ? b.Length - a.Length : a.Token != b.Token ? a.Token - b.Token : a.Start - b.Start);
        var found = Choose(text, candidates);
        int at = 0;
        foreach (var token in found)
        {
            if (token.From > at)
                segments.Add(new TextSegment(-1, at, token.From));
            segments.Add(new TextSegment(token.Token, token.From, token.To));
            at = token.To;
        }
        if (at < text.Length)
            segments.Add(new TextSegment(-1, at, text.Length));
    }

    private readonly record struct Found(int From, int To, int Token);

    private List<Candidate>? Candidates(ReadOnlySpan<byte> text)
    {
        if (_trie.IsEmpty)
            return null;
        List<Candidate>? candidates = null;
        for (int at = _trie.NextStart(text, 0); at >= 0; at = at + 1 < text.Length ? _trie.NextStart(text, at + 1) : -1)
        {
            for (int i = at, node = ByteTrie.Root; i < text.Length && (node = _trie.Child(node, text[i])) >= 0; i++)
            {
                int token = _trie.Value(node);
                if (token >= 0)
                    (candidates ??= []).Add(new Candidate(i + 1 - at, token, at));
            }
        }
        return candidates;
    }

    /// <summary>Takes candidates in order where the text is still free; a token takes the white space that it strips with it.</summary>
    private SortedSet<Found> Choose(ReadOnlySpan<byte> text, List<Candidate> candidates)
    {
        var found = new SortedSet<Found>(Comparer<Found>.Create((a, b) => a.From != b.From ? a.From.CompareTo(b.From) : a.To.CompareTo(b.To)));
        var taken = new bool[text.Length];
        foreach (var candidate in candidates)
        {
            int from = candidate.Start, to = from + candidate.Length;
            // A longer token was placed before, so a free start and a free end mean that all between is free.
            if (taken[from] || taken[to - 1])
                continue;
            var edges = _edges[candidate.Token];
            while ((edges & TokenEdges.StripsLeft) != 0 && from > 0 && !taken[from - 1] && IsSpace(text[from - 1]))
                from--;
            while ((edges & TokenEdges.StripsRight) != 0 && to < text.Length && !taken[to] && IsSpace(text[to]))
                to++;
            taken.AsSpan(from, to - from).Fill(true);
            found.Add(new Found(from, to, candidate.Token));
        }
        return found;
    }

    private static bool IsSpace(byte b) => b == ' ' || b is >= 9 and <= 13;
}
