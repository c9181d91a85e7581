using System.Text;
using Kvasir.Checkpoints.Tokenizers.Models;

namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>How a vocabulary spells what its tokens stand for.</summary>
internal enum PieceSpelling
{
    /// <summary>As it is.</summary>
    Plain,

    /// <summary>In GPT-2's byte alphabet.</summary>
    ByteAlphabet,

    /// <summary>With U+2581 for spaces.</summary>
    SpaceMarks,
}

/// <summary>What tokens decode to.</summary>
internal static class TokenPieces
{
    /// <summary>The bytes of each token.</summary>
    public static ReadOnlyMemory<byte>[] Make(Vocabulary vocabulary, PieceSpelling spelling)
    {
        var pieces = new ReadOnlyMemory<byte>[vocabulary.Size];
        for (int id = 0; id < pieces.Length; id++)
            pieces[id] = Piece(vocabulary.Texts[id], vocabulary.Kinds[id], spelling);
        return pieces;
    }

    private static byte[] Piece(string text, TokenKind kind, PieceSpelling spelling)
    {
        switch (kind)
        {
            case TokenKind.Byte:
                int value = ByteFallback.Parse(text);
                return value < 0 ? [] : [(byte)value];
            case TokenKind.Normal:
                return spelling switch
                {
                    PieceSpelling.ByteAlphabet => ByteAlphabet.DecodeLoosely(text),
                    PieceSpelling.SpaceMarks => Encoding.UTF8.GetBytes(text.Replace(SpaceMark.Character, ' ')),
                    _ => Encoding.UTF8.GetBytes(text),
                };
            case TokenKind.Control or TokenKind.Unknown or TokenKind.UserDefined:
                return Encoding.UTF8.GetBytes(text);
            default:
                return [];
        }
    }
}
