namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>Turns text between special tokens into tokens. Safe to use from several threads.</summary>
internal abstract class TextEncoder
{
    /// <summary>Appends the tokens of a text.</summary>
    /// <param name="text">Valid UTF-8, not empty.</param>
    /// <param name="atStart">Whether nothing stands before it, not even a special token.</param>
    /// <param name="output">Token ids.</param>
    public abstract void Encode(ReadOnlySpan<byte> text, bool atStart, List<int> output);
}
