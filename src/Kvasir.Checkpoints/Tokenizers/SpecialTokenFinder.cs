namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>A piece of text to encode, or a token that was found in it.</summary>
/// <param name="Token">The token; -1 for text.</param>
/// <param name="Start">First byte of the text.</param>
/// <param name="End">Byte after the text.</param>
internal readonly record struct TextSegment(int Token, int Start, int End);

/// <summary>Finds special tokens written in text.</summary>
internal abstract class SpecialTokenFinder
{
    /// <summary>Cuts text into tokens found and text between them, in order. There may be no segment, when all text belonged to nothing.</summary>
    public abstract void Split(ReadOnlySpan<byte> text, List<TextSegment> segments);
}
