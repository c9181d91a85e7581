using System.Text;
using Kvasir.Checkpoints.Tokenizers.Normalization;
using Kvasir.Checkpoints.Tokenizers.Splitting;

namespace Kvasir.Checkpoints.Tokenizers.Models;

/// <summary>
/// WordPiece as GGUF describes it (<c>bert</c>): words begin with U+2581, accents are stripped and letters lowered where the checkpoint says so,
/// and each punctuation mark and CJK ideograph is a word.
/// </summary>
internal sealed class WordPieceEncoder(WordPieceModel model, bool lowercase, bool stripAccents) : TextEncoder
{
    private const int DottedCapitalI = 'i';

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<byte> text, bool atStart, List<int> output)
    {
        var word = new List<byte>();
        var decomposed = new List<int>();
        for (int at = 0; at < text.Length;)
        {
            int codePoint = Utf8Text.CodePoint(text, at, out int length);
            at += length;
            if (stripAccents && codePoint >= 0x80)
            {
                // Only the first part of a decomposition is kept, for Hangul syllables too: what converted vocabularies expect.
                decomposed.Clear();
                Decompositions.Tables.Decompose(codePoint, compatible: false, decomposed);
                codePoint = decomposed[0];
            }
            Take(codePoint, word, output);
        }
        Finish(word, output);
    }

    private void Take(int codePoint, List<byte> word, List<int> output)
    {
        byte entry = UnicodeTable.Entry(codePoint);
        uint category = 1u << (entry & 31);
        if ((entry & UnicodeTable.SpaceBit) != 0)
        {
            Finish(word, output);
            return;
        }
        if (codePoint is 0 or 0xFFFD || (category & (CategoryMask.Other & ~CategoryMask.Unassigned)) != 0)
            return;
        if (stripAccents && (category & CategoryMask.Mark) != 0)
            return;
        bool alone = (category & CategoryMask.Punctuation) != 0 || (codePoint < 0x7F && (category & CategoryMask.Symbol) != 0) || IsIdeograph(codePoint);
        if (alone)
            Finish(word, output);
        if (word.Count == 0)
            word.AddRange(SpaceMark.Bytes);
        Append(lowercase ? UnicodeTable.ToLower(codePoint, DottedCapitalI) : codePoint, word);
        if (alone)
            Finish(word, output);
    }

    private void Finish(List<byte> word, List<int> output)
    {
        if (word.Count > 0)
            model.Encode(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(word), output);
        word.Clear();
    }

    private static void Append(int codePoint, List<byte> word)
    {
        Span<byte> bytes = stackalloc byte[4];
        int length = new Rune(codePoint).EncodeToUtf8(bytes);
        word.AddRange(bytes[..length]);
    }

    /// <summary>Whether a character is a word of its own, as an ideograph.</summary>
    // The blocks of the original BERT, with its converters' slip: 2B920 where 2B820 was meant.
    public static bool IsIdeograph(int c) =>
        c is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2B73F)
            or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}
