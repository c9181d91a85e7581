using System.Text;

namespace Kvasir.Checkpoints.Tokenizers.Models;

/// <summary>
/// The tables of a byte-pair encoder. Symbols below the vocabulary's size are tokens; merges may pass through symbols that are none.
/// </summary>
internal sealed class BpeTables
{
    private readonly int[] _byteSymbols = new int[256];
    private readonly bool _fromBytes;
    private readonly int _vocabularySize;

    /// <summary>Builds the tables.</summary>
    /// <param name="texts">Token texts by id, as the checkpoint spells them; null for a token that no word becomes.</param>
    /// <param name="merges">Pairs by rank, spelled like the tokens.</param>
    /// <param name="fromBytes">Whether texts are spelled in the byte alphabet, and words start as bytes rather than characters.</param>
    public BpeTables(IReadOnlyList<string?> texts, IReadOnlyList<(string Left, string Right)> merges, bool fromBytes)
    {
        _fromBytes = fromBytes;
        _vocabularySize = texts.Count;
        Pieces = new ByteStringTable(texts.Count + 256 + 3 * merges.Count, texts.Count * 8);
        for (int id = 0; id < texts.Count; id++)
            if (texts[id] is { } text && Spell(text) is { } bytes)
                Pieces.TryAdd(bytes, id);
        int next = texts.Count;
        if (fromBytes)
            for (int value = 0; value < 256; value++)
                _byteSymbols[value] = Symbol([(byte)value], ref next);
        Pairs = new PairTable(merges.Count);
        for (int rank = 0; rank < merges.Count; rank++)
        {
            var (left, right) = merges[rank];
            if (left.Length == 0 || right.Length == 0 || Spell(left) is not { } l || Spell(right) is not { } r)
                continue;
            Pairs.TryAdd(Symbol(l, ref next), Symbol(r, ref next), rank, Symbol([.. l, .. r], ref next));
        }
    }

    /// <summary>Symbols by the bytes that they stand for.</summary>
    public ByteStringTable Pieces { get; }

    /// <summary>The merges.</summary>
    public PairTable Pairs { get; }

    /// <summary>Whether a word that is a token is that token, whatever its merges would give.</summary>
    public bool WholeWords { get; init; }

    /// <summary>The same for words of line feeds alone.</summary>
    public bool WholeLineFeeds { get; init; }

    /// <summary>The token of each byte, for what has no token; -1 where there is none.</summary>
    public int[]? ByteTokens { get; init; }

    /// <summary>The token for what has neither a token nor byte tokens; -1: such text is left out.</summary>
    public int Unknown { get; init; } = -1;

    /// <summary>Whether a run of unknown characters is one token.</summary>
    public bool FusesUnknown { get; init; }

    /// <summary>The symbol that a word's text at <paramref name="at"/> starts as, and its bytes; -1 for an unknown character.</summary>
    public int FirstSymbol(ReadOnlySpan<byte> word, int at, out int length)
    {
        if (_fromBytes)
        {
            length = 1;
            return _byteSymbols[word[at]];
        }
        length = Utf8Text.Length(word[at]);
        return Pieces.Get(word.Slice(at, length));
    }

    /// <summary>The token that is the whole word, or -1.</summary>
    public int WholeToken(ReadOnlySpan<byte> word)
    {
        int symbol = Pieces.Get(word);
        return symbol < _vocabularySize ? symbol : -1;
    }

    /// <summary>Appends the token of a finished symbol, or what stands in for it.</summary>
    /// <param name="symbol">The symbol; negative for an unknown character.</param>
    /// <param name="text">The bytes that it stands for.</param>
    /// <param name="wordStart">Where the word's tokens begin in <paramref name="output"/>.</param>
    /// <param name="output">Token ids.</param>
    public void Append(int symbol, ReadOnlySpan<byte> text, int wordStart, List<int> output)
    {
        if ((uint)symbol < (uint)_vocabularySize)
        {
            output.Add(symbol);
            return;
        }
        if (ByteTokens is not null && (Unknown < 0 || HasAllBytes(text)))
        {
            foreach (byte value in text)
                if (ByteTokens[value] >= 0)
                    output.Add(ByteTokens[value]);
        }
        else if (Unknown >= 0 && !(FusesUnknown && output.Count > wordStart && output[^1] == Unknown))
        {
            output.Add(Unknown);
        }
    }

    private bool HasAllBytes(ReadOnlySpan<byte> text)
    {
        foreach (byte value in text)
            if (ByteTokens![value] < 0)
                return false;
        return true;
    }

    private int Symbol(byte[] bytes, ref int next)
    {
        int symbol = Pieces.Get(bytes);
        if (symbol >= 0)
            return symbol;
        Pieces.TryAdd(bytes, next);
        return next++;
    }

    private byte[]? Spell(string text)
    {
        if (!_fromBytes)
            return Encoding.UTF8.GetBytes(text);
        var bytes = new byte[text.Length];
        return ByteAlphabet.TryDecode(text, bytes) ? bytes : null;
    }
}
