using Kvasir.Checkpoints.Tokenizers.Models;
using Kvasir.Checkpoints.Tokenizers.Splitting;

namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>Byte-pair encoding as GGUF describes it (<c>gpt2</c>): splitters in a row, then merges within each word.</summary>
internal sealed class BpeEncoder(BpeModel model, WordSplitter[] splitters, bool marksSpaces) : TextEncoder
{
    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<byte> text, bool atStart, List<int> output)
    {
        var scratch = model.Rent();
        Split(marksSpaces ? SpaceMark.Escape(text, spaceBefore: false) : text, 0, scratch, output);
        model.Return(scratch);
    }

    private void Split(ReadOnlySpan<byte> text, int depth, BpeModel.Scratch scratch, List<int> output)
    {
        var splitter = splitters[depth];
        bool last = depth == splitters.Length - 1;
        for (int at = 0; at < text.Length;)
        {
            int end = splitter.End(text, at);
            if (last)
                model.Encode(text, at, end, scratch, output);
            else
                Split(text[at..end], depth + 1, scratch, output);
            at = end;
        }
    }
}
