namespace Kvasir.Checkpoints.Tokenizers.Splitting;

/// <summary>How a family of tokenizers after GPT-4's cuts words; each value is a part of its regular expression.</summary>
internal sealed record WordRules
{
    /// <summary>Starts with <c>(?i:'s|'t|'re|'ve|'m|'ll|'d)</c> as a word of its own.</summary>
    public bool ContractionsApart { get; init; }

    /// <summary>Words end with such a contraction, if there is one.</summary>
    public bool ContractionsAttached { get; init; }

    /// <summary>Whether U+017F counts as s in contractions, as full case folding has it.</summary>
    public bool FoldsLongS { get; init; }

    /// <summary>What words are made of, after an optional character that is no letter, number or line end.</summary>
    public LetterRule Letters { get; init; }

    /// <summary>Numbers in a word at most: <c>\p{N}{1,3}</c>; 0: any.</summary>
    public int Digits { get; init; } = 1;

    /// <summary>What may follow <c> ?[^\s\p{L}\p{N}]+</c>.</summary>
    public TailRule Tail { get; init; } = TailRule.LineEnds;

    /// <summary>Whether marks cannot be in a run of punctuation: <c>[^\s\p{L}\p{M}\p{N}]</c>.</summary>
    public bool MarksAreNoPunctuation { get; init; }

    /// <summary>Whether white space is cut into runs of 512, 256 … 4, 2, 1.</summary>
    public bool HalvesWhiteSpace { get; init; }
}

/// <summary>What words are made of.</summary>
internal enum LetterRule
{
    /// <summary><c>\p{L}+</c>.</summary>
    Letters,

    /// <summary><c>[\p{L}\p{M}]+</c>.</summary>
    LettersAndMarks,

    /// <summary>Capitals then small letters, ASCII alone having case; other letters are both.</summary>
    CasedAscii,

    /// <summary>The same, marks being both.</summary>
    CasedAsciiAndMarks,

    /// <summary><c>[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+</c>, or the first part alone.</summary>
    Cased,
}

/// <summary>What may follow punctuation.</summary>
internal enum TailRule
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary><c>[\r\n]*</c>.</summary>
    LineEnds,

    /// <summary><c>[\r\n/]*</c>.</summary>
    LineEndsAndSlashes,
}
