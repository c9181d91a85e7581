using System.Text;
using Kvasir.Checkpoints.Tokenizers.Models;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>Encodes one word.</summary>
internal delegate void WordEncoder(ReadOnlySpan<byte> word, List<int> output);

/// <summary>A tokenizer.json's way through text: normalize, find the added tokens that are looked for in normalized text, split, encode words.</summary>
internal sealed class PipelineEncoder(Func<string, string>? normalize, SpecialTokenFinder normalizedTokens, IReadOnlyList<PreTokenizationStep> steps, WordEncoder encode) : TextEncoder
{
    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<byte> text, bool atStart, List<int> output)
    {
        byte[] normalized = normalize is null ? text.ToArray() : Encoding.UTF8.GetBytes(normalize(Encoding.UTF8.GetString(text)));
        var segments = new List<TextSegment>();
        normalizedTokens.Split(normalized, segments);
        foreach (var segment in segments)
        {
            if (segment.Token >= 0)
                output.Add(segment.Token);
            else
                EncodePieces(normalized[segment.Start..segment.End], atStart && segment.Start == 0, output);
        }
    }

    private void EncodePieces(byte[] text, bool atStart, List<int> output)
    {
        List<byte[]> pieces = [text];
        foreach (var step in steps)
        {
            var smaller = new List<byte[]>();
            for (int i = 0; i < pieces.Count; i++)
                step.Apply(pieces[i], atStart && i == 0, smaller);
            pieces = smaller;
        }
        foreach (byte[] piece in pieces)
            if (piece.Length > 0)
                encode(piece, output);
    }

    /// <summary>Words through a byte-pair encoder.</summary>
    public static WordEncoder Words(BpeModel model) => (word, output) =>
    {
        var scratch = model.Rent();
        model.Encode(word, 0, word.Length, scratch, output);
        model.Return(scratch);
    };
}
