namespace Kvasir.Checkpoints.Tokenizers.FromGguf;

/// <summary>
/// Tokens with a role that their text alone tells, since many files name too few of them (the texts are those of llama.cpp, issue 9606).
/// Such a token steers the model, whatever kind the file says.
/// </summary>
internal static class WellKnownTokens
{
    private static readonly string[] EndTexts =
    [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>", "<|endoftext|>", "</s>",
        "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
        "<｜end▁of▁sentence｜>", "[e~[",
    ];

    // Harmony renders these, they are part of the answer's structure.
    private static readonly string[] Shown = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

    private static readonly string[] FillBefore = ["<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>"];

    private static readonly string[] FillAfter = ["<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>"];

    private static readonly string[] FillMiddle = ["<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>"];

    private static readonly string[] FillPadding = ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"];

    private static readonly string[] FillRepository = ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"];

    private static readonly string[] FillFile = ["<|file_sep|>"];

    /// <summary>Gathers the tokens that end generation, and sets kinds by role.</summary>
    /// <param name="vocabulary">Its kinds are changed.</param>
    /// <param name="eos">End of sequence; -1 where there is none.</param>
    /// <param name="id">Token ids by the file's key, -1 where it has none.</param>
    public static HashSet<int> EndOfGeneration(Vocabulary vocabulary, int eos, Func<string, int> id)
    {
        var ends = new HashSet<int>();
        Mark(vocabulary, FillBefore, id("fim_pre_token_id"), id("prefix_token_id"));
        Mark(vocabulary, FillAfter, id("fim_suf_token_id"), id("suffix_token_id"));
        Mark(vocabulary, FillMiddle, id("fim_mid_token_id"), id("middle_token_id"));
        ends.Add(Mark(vocabulary, FillPadding, id("fim_pad_token_id")));
        ends.Add(Mark(vocabulary, FillRepository, id("fim_rep_token_id")));
        ends.Add(Mark(vocabulary, FillFile, id("fim_sep_token_id")));
        foreach (string text in EndTexts)
            if (vocabulary.Find(text) is >= 0 and var token)
            {
                ends.Add(token);
                vocabulary.Kinds[token] = TokenKind.Control;
            }
        foreach (string text in Shown)
            SetKind(vocabulary, text, TokenKind.UserDefined);
        ends.UnionWith([eos, id("eot_token_id"), id("eom_token_id")]);
        ends.Remove(-1);
        RemoveFalseEnds(vocabulary, ends);
        return ends;
    }

    private static void RemoveFalseEnds(Vocabulary vocabulary, HashSet<int> ends)
    {
        bool Has(string text) => ends.Contains(vocabulary.Find(text));
        bool calls = Has("<|call|>") || Has("<|calls|>");
        // Harmony and Solar end a turn with these; their <|end|> only ends a message within it.
        if (calls && (Has("<|return|>") || Has("<|flush|>")) && ends.Remove(vocabulary.Find("<|end|>")))
            SetKind(vocabulary, "<|end|>", TokenKind.UserDefined);
        // Gemma 4 has </s> as markup.
        if (Has("<|tool_response>") && ends.Remove(vocabulary.Find("</s>")))
            SetKind(vocabulary, "</s>", TokenKind.Normal);
    }

    /// <summary>The token of a role: the file's, else the first known text, which then steers the model.</summary>
    private static int Mark(Vocabulary vocabulary, string[] texts, params ReadOnlySpan<int> named)
    {
        foreach (int token in named)
            if (token >= 0)
                return token;
        foreach (string text in texts)
            if (vocabulary.Find(text) is >= 0 and var token)
            {
                vocabulary.Kinds[token] = TokenKind.Control;
                return token;
            }
        return -1;
    }

    private static void SetKind(Vocabulary vocabulary, string text, TokenKind kind)
    {
        if (vocabulary.Find(text) is >= 0 and var token)
            vocabulary.Kinds[token] = kind;
    }
}
