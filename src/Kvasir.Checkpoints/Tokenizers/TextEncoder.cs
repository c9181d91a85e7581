namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>Turns text between special tokens into tokens. Safe to use from several threads.</summary>
internal abstract class TextEncoder
{
    /// <summary>Appends the tokens of a text.</summary>
    /// <param name="text">Valid UTF-8, not empty.</param>
    /// <param name="first">Whether nothing or a special token stands before it.</param>
    /// <param name="output">Token ids.</param>
    public abstract void Encode(ReadOnlySpan<byte> text, bool first, List<int> output);
}
