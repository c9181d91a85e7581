using System.Buffers;
using System.Text;

namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>
/// Turns token ids into text as they come, whole characters only: bytes that may still become a character wait for the next token.
/// All that it gives, put together, is what decoding all ids at once gives. For one sequence, on one thread at a time.
/// </summary>
public sealed class StreamingDecoder
{
    // The longest beginning of a character that is no character yet.
    private const int MostWaiting = 3;

    private readonly Tokenizer _tokenizer;
    private readonly bool _keepSpecial;
    private readonly byte[] _waiting = new byte[MostWaiting];
    private int _waitingCount;
    private bool _stripSpace;

    internal StreamingDecoder(Tokenizer tokenizer, bool keepSpecial, bool stripFirstSpace) =>
        (_tokenizer, _keepSpecial, _stripSpace) = (tokenizer, keepSpecial, stripFirstSpace);

    /// <summary>Takes a token; gives the characters that are whole with it, often none.</summary>
    public string Push(int id)
    {
        if (!_keepSpecial && _tokenizer.IsSpecial(id))
            return "";
        var piece = _tokenizer.Bytes(id).Span;
        if (piece.IsEmpty)
            return "";
        if (_stripSpace)
        {
            _stripSpace = false;
            if (piece[0] == ' ' && !_tokenizer.IsSpecial(id))
                piece = piece[1..];
        }
        return Take(piece);
    }

    /// <summary>Ends the text: bytes that never became a character are U+FFFD. The decoder then starts anew within the same text.</summary>
    public string Flush()
    {
        string text = Encoding.UTF8.GetString(_waiting, 0, _waitingCount);
        _waitingCount = 0;
        return text;
    }

    private string Take(ReadOnlySpan<byte> piece)
    {
        byte[]? rented = null;
        int length = _waitingCount + piece.Length;
        var bytes = length <= 512 ? stackalloc byte[512] : rented = ArrayPool<byte>.Shared.Rent(length);
        bytes = bytes[..length];
        _waiting.AsSpan(0, _waitingCount).CopyTo(bytes);
        piece.CopyTo(bytes[_waitingCount..]);
        int whole = length - UnfinishedTail(bytes);
        _waitingCount = length - whole;
        bytes[whole..].CopyTo(_waiting);
        string text = Encoding.UTF8.GetString(bytes[..whole]);
        if (rented is not null)
            ArrayPool<byte>.Shared.Return(rented);
        return text;
    }

    /// <summary>Bytes at the end that are the beginning of a character and nothing else yet.</summary>
    private static int UnfinishedTail(ReadOnlySpan<byte> bytes)
    {
        for (int tail = 1; tail <= MostWaiting && tail <= bytes.Length; tail++)
        {
            byte lead = bytes[^tail];
            if (lead < 0x80)
                return 0;
            if ((lead & 0xC0) == 0x80)
                continue;
            return Rune.DecodeFromUtf8(bytes[^tail..], out _, out int consumed) == OperationStatus.NeedMoreData && consumed == tail ? tail : 0;
        }
        return 0;
    }
}
