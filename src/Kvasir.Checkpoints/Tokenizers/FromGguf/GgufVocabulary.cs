using Kvasir.Checkpoints.Gguf;

namespace Kvasir.Checkpoints.Tokenizers.FromGguf;

/// <summary>The tokenizer's keys of a GGUF file, checked (github.com/ggml-org/ggml, docs/gguf.md, section Tokenizer).</summary>
internal sealed class GgufVocabulary
{
    private const string Prefix = "tokenizer.ggml.";
    private readonly GgufMetadata _metadata;

    /// <summary>Reads the tokens.</summary>
    /// <exception cref="CheckpointException">There is no tokenizer, or its arrays do not fit together.</exception>
    public GgufVocabulary(GgufMetadata metadata)
    {
        _metadata = metadata;
        if (!metadata.TryGetString(Prefix + "model", out var model) || !metadata.TryGetStrings(Prefix + "tokens", out var texts))
            throw new CheckpointException($"{metadata.FilePath} has no tokenizer ({Prefix}model and {Prefix}tokens); take a file that was converted with its vocabulary.");
        Model = model;
        Pre = metadata.TryGetString(Prefix + "pre", out var pre) ? pre : "";
        for (int id = 0; id < texts.Length; id++)
            if (texts[id].Length == 0)
                texts[id] = $"[EMPTY_{id}]";
        Vocabulary = new Vocabulary(texts, ReadKinds(texts.Length), ReadScores(texts.Length));
    }

    /// <summary>The algorithm: <c>gpt2</c>, <c>llama</c>, <c>t5</c>, <c>bert</c> …</summary>
    public string Model { get; }

    /// <summary>The rule that splits text before byte-pair encoding; empty where the file has none.</summary>
    public string Pre { get; }

    /// <summary>The tokens.</summary>
    public Vocabulary Vocabulary { get; }

    /// <summary>The file's path.</summary>
    public string FilePath => _metadata.FilePath;

    /// <summary>The model's name in lower case; empty where the file has none.</summary>
    public string ModelName => _metadata.TryGetString("general.name", out var name) ? name.ToLowerInvariant() : "";

    /// <summary>The model's architecture; empty where the file has none.</summary>
    public string Architecture => _metadata.TryGetString("general.architecture", out var name) ? name : "";

    /// <summary>A token id by its key; what is missing or outside the vocabulary gives <paramref name="otherwise"/>, itself checked.</summary>
    public int Id(string key, int otherwise = -1)
    {
        if (_metadata.TryGetInt(Prefix + key, out long id) && id >= 0 && id < Vocabulary.Size)
            return (int)id;
        return otherwise < Vocabulary.Size ? otherwise : -1;
    }

    /// <summary>A flag by its key.</summary>
    public bool Flag(string key, bool otherwise) => _metadata.TryGetBool(Prefix + key, out bool value) ? value : otherwise;

    /// <summary>Merges by rank.</summary>
    /// <exception cref="CheckpointException">There are none.</exception>
    public List<(string Left, string Right)> Merges()
    {
        if (!_metadata.TryGetStrings(Prefix + "merges", out var lines))
            throw new CheckpointException($"{FilePath} has a vocabulary of kind \"{Model}\" but no {Prefix}merges; convert the model again.");
        var merges = new List<(string, string)>(lines.Length);
        foreach (string line in lines)
        {
            int space = line.Length > 1 ? line.IndexOf(' ', 1) : -1;
            merges.Add(space < 0 ? ("", "") : (line[..space], line[(space + 1)..]));
        }
        return merges;
    }

    /// <summary>SentencePiece's character map; null where the file has none.</summary>
    public byte[]? CharacterMap() =>
        _metadata.TryGetInts(Prefix + "precompiled_charsmap", out var values) ? [.. values.Select(value => unchecked((byte)value))] : null;

    private TokenKind[] ReadKinds(int count)
    {
        var kinds = new TokenKind[count];
        Array.Fill(kinds, TokenKind.Normal);
        if (!_metadata.TryGetInts(Prefix + "token_type", out var values))
            return kinds;
        Demand(values.Length, count, "token_type");
        for (int id = 0; id < count; id++)
            kinds[id] = values[id] is >= 0 and <= 6 ? (TokenKind)values[id] : TokenKind.Undefined;
        return kinds;
    }

    private float[] ReadScores(int count)
    {
        if (!_metadata.TryGetFloats(Prefix + "scores", out var scores))
            return new float[count];
        Demand(scores.Length, count, "scores");
        return scores;
    }

    private void Demand(int length, int count, string key)
    {
        if (length < count)
            throw new CheckpointException($"{FilePath}: {Prefix}{key} has {length} values for {count} tokens; the file is damaged.");
    }
}
