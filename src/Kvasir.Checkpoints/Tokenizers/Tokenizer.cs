using System.Buffers;
using System.Collections.Frozen;
using System.Text;

namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>
/// A checkpoint's tokenizer: text to token ids and back. Encoding gives exactly the ids that the checkpoint was trained with;
/// decoding is lossless. Safe to use from several threads.
/// </summary>
public sealed partial class Tokenizer
{
    private readonly Vocabulary _vocabulary;
    private readonly TokenizerParts _parts;
    private readonly ReadOnlyMemory<byte>[] _pieces;

    internal Tokenizer(TokenizerParts parts)
    {
        _parts = parts;
        _vocabulary = parts.Vocabulary;
        _pieces = parts.Pieces;
        EndOfGeneration = parts.EndOfGeneration.ToFrozenSet();
    }

    /// <summary>The algorithm, for people: "byte-level BPE (gpt-2)", "SentencePiece BPE" …</summary>
    public string Kind => _parts.Kind;

    /// <summary>Tokens in the vocabulary; ids are below it.</summary>
    public int VocabularySize => _vocabulary.Size;

    /// <summary>The token that begins a sequence; null where the vocabulary has none.</summary>
    public int? Bos => Known(_parts.Ids.Bos);

    /// <summary>The token that ends a sequence.</summary>
    public int? Eos => Known(_parts.Ids.Eos);

    /// <summary>The token for what the vocabulary cannot express.</summary>
    public int? Unknown => Known(_parts.Ids.Unknown);

    /// <summary>The token that separates two sequences.</summary>
    public int? Separator => Known(_parts.Ids.Separator);

    /// <summary>The token that fills a batch.</summary>
    public int? Padding => Known(_parts.Ids.Padding);

    /// <summary>Tokens after which generation stops: end of sequence, of turn and of message, by the checkpoint's metadata and by well-known texts.</summary>
    public IReadOnlySet<int> EndOfGeneration { get; }

    /// <summary>Whether <see cref="Encode(string, bool, bool)"/> with special tokens puts <see cref="Bos"/> first.</summary>
    public bool AddsBos => _parts.Prefix.Length > 0 && _parts.Prefix[0] == _parts.Ids.Bos;

    /// <summary>Whether <see cref="Encode(string, bool, bool)"/> with special tokens puts <see cref="Eos"/> last.</summary>
    public bool AddsEos => _parts.Suffix.Length > 0 && _parts.Suffix[^1] == _parts.Ids.Eos;

    /// <summary>Token ids of a text.</summary>
    /// <param name="text">The text; lone surrogates count as U+FFFD.</param>
    /// <param name="addSpecial">Adds what the checkpoint asks for at the ends (BOS, EOS, separators).</param>
    /// <param name="parseSpecial">Finds special tokens such as <c>&lt;|im_start|&gt;</c> written in the text. Never for text of strangers.</param>
    public List<int> Encode(string text, bool addSpecial, bool parseSpecial)
    {
        ArgumentNullException.ThrowIfNull(text);
        var output = new List<int>(text.Length / 4 + 8);
        Encode(text, addSpecial, parseSpecial, output);
        return output;
    }

    /// <summary>Appends the token ids of a text.</summary>
    /// <param name="text">The text; lone surrogates count as U+FFFD.</param>
    /// <param name="addSpecial">Adds what the checkpoint asks for at the ends (BOS, EOS, separators).</param>
    /// <param name="parseSpecial">Finds special tokens such as <c>&lt;|im_start|&gt;</c> written in the text. Never for text of strangers.</param>
    /// <param name="output">Where the ids go.</param>
    public void Encode(ReadOnlySpan<char> text, bool addSpecial, bool parseSpecial, List<int> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
        try
        {
            var bytes = buffer.AsSpan(0, Encoding.UTF8.GetBytes(text, buffer));
            if (addSpecial)
                output.AddRange(_parts.Prefix);
            EncodeSegments(bytes, parseSpecial, output);
            if (addSpecial)
                output.AddRange(_parts.Suffix);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>The text of token ids. Invalid UTF-8 becomes U+FFFD.</summary>
    /// <param name="ids">Token ids; one outside the vocabulary stands for nothing.</param>
    /// <param name="keepSpecial">Whether special tokens are shown by their texts.</param>
    public string Decode(ReadOnlySpan<int> ids, bool keepSpecial = false)
    {
        var decoder = CreateDecoder(keepSpecial);
        var text = new StringBuilder();
        foreach (int id in ids)
            text.Append(decoder.Push(id));
        return text.Append(decoder.Flush()).ToString();
    }

    /// <summary>A decoder for ids that come one by one.</summary>
    /// <param name="keepSpecial">Whether special tokens are shown by their texts.</param>
    public StreamingDecoder CreateDecoder(bool keepSpecial = false) => new(this, keepSpecial, _parts.StripsFirstSpace);

    /// <summary>The bytes that a token stands for, a special one's text; not always whole characters. Empty for an id outside the vocabulary.</summary>
    public ReadOnlyMemory<byte> Bytes(int id) => IsKnown(id) ? _pieces[id] : default;

    /// <summary>Whether a token steers the model rather than standing for text (control and unknown tokens).</summary>
    public bool IsSpecial(int id) => IsKnown(id) && _vocabulary.Kinds[id] is TokenKind.Control or TokenKind.Unknown;

    /// <summary>A token as the checkpoint spells it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is outside the vocabulary.</exception>
    public string Text(int id) => IsKnown(id)
        ? _vocabulary.Texts[id]
        : throw new ArgumentOutOfRangeException(nameof(id), $"Token {id} is outside the vocabulary of {VocabularySize} tokens.");

    /// <summary>The token that the checkpoint spells so; null when there is none.</summary>
    public int? Find(string text) => Known(_vocabulary.Find(text));

    private void EncodeSegments(ReadOnlySpan<byte> text, bool parseSpecial, List<int> output)
    {
        var finder = parseSpecial ? _parts.AllSpecial : _parts.UserDefined;
        var segments = new List<TextSegment>();
        finder.Split(text, segments);
        foreach (var segment in segments)
        {
            if (segment.Token >= 0)
                output.Add(segment.Token);
            else
                _parts.Encoder.Encode(text[segment.Start..segment.End], segment.Start == 0, output);
        }
    }

    private bool IsKnown(int id) => (uint)id < (uint)_vocabulary.Size;

    private int? Known(int id) => IsKnown(id) ? id : null;
}
