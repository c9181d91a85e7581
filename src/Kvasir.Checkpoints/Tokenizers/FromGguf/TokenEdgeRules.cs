namespace Kvasir.Checkpoints.Tokenizers.FromGguf;

/// <summary>White space that special tokens take with them. Files don't say so; llama.cpp tells it by names, and so do we.</summary>
internal static class TokenEdgeRules
{
    /// <summary>Sets the edges of a file's special tokens.</summary>
    public static void Apply(GgufVocabulary source)
    {
        var vocabulary = source.Vocabulary;
        if (ContainsAny(source.Pre, "jina-v2-de", "jina-v2-es", "jina-v2-code") || ContainsAny(source.Architecture, "nomic-bert-moe", "jina-bert-v3"))
            Set("<mask>", TokenEdges.StripsLeft);
        else if (ContainsAny(source.ModelName, "phi-3", "phi3"))
        {
            for (int id = 0; id < vocabulary.Size; id++)
                if (vocabulary.Kinds[id] is TokenKind.Control or TokenKind.UserDefined or TokenKind.Unknown)
                    vocabulary.Edges[id] = TokenEdges.StripsRight;
            Set("</s>", TokenEdges.StripsRight);
            foreach (string text in (string[])["<unk>", "<s>", "<|endoftext|>"])
                Set(text, TokenEdges.None);
        }
        else if (source.ModelName.Contains("modern-bert", StringComparison.Ordinal))
            Set("[MASK]", TokenEdges.StripsLeft);

        void Set(string text, TokenEdges edges)
        {
            if (vocabulary.Find(text) is >= 0 and var id)
                vocabulary.Edges[id] = edges;
        }
    }

    private static bool ContainsAny(string text, params ReadOnlySpan<string> parts)
    {
        foreach (string part in parts)
            if (text.Contains(part, StringComparison.Ordinal))
                return true;
        return false;
    }
}
