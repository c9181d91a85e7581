namespace Kvasir.Checkpoints.Tokenizers.Splitting;

/// <summary>
/// Cuts text into the words within which byte pairs are merged. Stateless: the end of a word follows from its start and the text.
/// Several splitters in a row cut ever finer: each sees one piece of the splitter before it as if it were the whole text.
/// </summary>
internal abstract class WordSplitter
{
    /// <summary>The end of the word that starts at <paramref name="start"/>; greater than it.</summary>
    /// <param name="text">Valid UTF-8.</param>
    /// <param name="start">Where a word starts, below the length of the text.</param>
    public abstract int End(ReadOnlySpan<byte> text, int start);
}
