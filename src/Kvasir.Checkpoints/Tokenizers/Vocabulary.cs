namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>The tokens of a checkpoint: text, kind and, where the algorithm has one, score.</summary>
internal sealed class Vocabulary
{
    private readonly Dictionary<string, int> _ids;

    /// <summary>Takes the tokens; arrays by id.</summary>
    public Vocabulary(string[] texts, TokenKind[] kinds, float[] scores)
    {
        (Texts, Kinds, Scores) = (texts, kinds, scores);
        Edges = new TokenEdges[texts.Length];
        _ids = new Dictionary<string, int>(texts.Length, StringComparer.Ordinal);
        for (int id = 0; id < texts.Length; id++)
            _ids.TryAdd(texts[id], id);
    }

    /// <summary>Tokens.</summary>
    public int Size => Texts.Length;

    /// <summary>Texts as the checkpoint spells them.</summary>
    public string[] Texts { get; }

    /// <summary>Kinds.</summary>
    public TokenKind[] Kinds { get; }

    /// <summary>Scores (log probabilities of a unigram model, merge order of a SentencePiece one); zero where there are none.</summary>
    public float[] Scores { get; }

    /// <summary>How special tokens are found.</summary>
    public TokenEdges[] Edges { get; }

    /// <summary>The token of a text, or -1.</summary>
    public int Find(string text) => _ids.GetValueOrDefault(text, -1);
}
