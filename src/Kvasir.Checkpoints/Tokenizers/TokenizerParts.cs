namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>Tokens with a role; -1 where the vocabulary has none.</summary>
internal readonly record struct RoleIds(int Bos, int Eos, int Unknown, int Separator, int Padding);

/// <summary>What a reader of a vocabulary puts together and a <see cref="Tokenizer"/> runs.</summary>
internal sealed record TokenizerParts
{
    public required string Kind { get; init; }

    public required Vocabulary Vocabulary { get; init; }

    public required RoleIds Ids { get; init; }

    public required TextEncoder Encoder { get; init; }

    /// <summary>Finds the tokens that are found in any text.</summary>
    public required SpecialTokenFinder UserDefined { get; init; }

    /// <summary>Finds every special token.</summary>
    public required SpecialTokenFinder AllSpecial { get; init; }

    /// <summary>Tokens before the text where special tokens are added.</summary>
    public required int[] Prefix { get; init; }

    /// <summary>Tokens after it.</summary>
    public required int[] Suffix { get; init; }

    public required IReadOnlyCollection<int> EndOfGeneration { get; init; }

    /// <summary>What each token decodes to.</summary>
    public required ReadOnlyMemory<byte>[] Pieces { get; init; }

    /// <summary>Whether a space that decoded text begins with is the tokenizer's own.</summary>
    public required bool StripsFirstSpace { get; init; }
}
