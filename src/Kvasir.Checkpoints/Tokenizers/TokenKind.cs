namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>What a token is. The first values are GGUF's <c>tokenizer.ggml.token_type</c>.</summary>
internal enum TokenKind : byte
{
    Undefined = 0,
    Normal = 1,
    Unknown = 2,

    /// <summary>Steers the model; found in text only where special tokens are parsed, hidden in decoded text.</summary>
    Control = 3,

    /// <summary>Found in text before anything else, always; shown in decoded text.</summary>
    UserDefined = 4,
    Unused = 5,

    /// <summary>One byte, written <c>&lt;0x0A&gt;</c>.</summary>
    Byte = 6,
}

/// <summary>How an added token is found in text.</summary>
[Flags]
internal enum TokenEdges : byte
{
    None = 0,

    /// <summary>White space before it belongs to it.</summary>
    StripsLeft = 1,

    /// <summary>White space after it belongs to it.</summary>
    StripsRight = 2,

    /// <summary>Only where no word character is beside it.</summary>
    SingleWord = 4,

    /// <summary>Looked for in normalized text.</summary>
    Normalized = 8,
}
