using System.Text;

namespace Kvasir.Checkpoints.Tokenizers.Models;

/// <summary>
/// SentencePiece byte-pair encoding: of all neighbouring symbols whose texts together are a token, those of the highest score merge first,
/// the leftmost of equals; what is no token in the end is spelled in byte tokens. Spaces are written U+2581.
/// </summary>
internal sealed class SentencePieceEncoder : TextEncoder
{
    private const int Merged = int.MinValue;

    private readonly ByteStringTable _tokens;
    private readonly uint[] _order;
    private readonly int[] _byteTokens;
    private readonly int _unknown;
    private readonly bool _spaceBefore;

    /// <summary>Builds the encoder.</summary>
    /// <param name="vocabulary">Tokens with scores.</param>
    /// <param name="unknown">The token for a byte that has none; -1: left out.</param>
    /// <param name="spaceBefore">Whether text at the start, or after a special token, begins with a space of its own.</param>
    public SentencePieceEncoder(Vocabulary vocabulary, int unknown, bool spaceBefore)
    {
        _tokens = new ByteStringTable(vocabulary.Size, vocabulary.Size * 8);
        for (int id = 0; id < vocabulary.Size; id++)
            _tokens.TryAdd(Encoding.UTF8.GetBytes(vocabulary.Texts[id]), id);
        _order = [.. vocabulary.Scores.Select(Order)];
        _byteTokens = ByteFallback.Tokens(vocabulary);
        for (int value = 0; value < 256; value++)
            if (_byteTokens[value] < 0)
                _byteTokens[value] = _tokens.Get([(byte)value]);
        _unknown = unknown;
        _spaceBefore = spaceBefore;
    }

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<byte> text, bool atStart, List<int> output)
    {
        byte[] escaped = SpaceMark.Escape(text, spaceBefore: _spaceBefore);
        new Merge(this, escaped).Run(output);
    }

    /// <summary>Scores as numbers that sort the highest first.</summary>
    private static uint Order(float score)
    {
        uint bits = BitConverter.SingleToUInt32Bits(score + 0f);
        return ~((bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000);
    }

    /// <summary>One text being merged: a linked list over byte offsets and a heap of proposals.</summary>
    private sealed class Merge(SentencePieceEncoder encoder, byte[] text)
    {
        private readonly int[] _token = new int[text.Length];
        private readonly int[] _next = new int[text.Length];
        private readonly int[] _previous = new int[text.Length];
        private readonly int[] _proposed = new int[text.Length];
        private readonly MergeHeap _heap = new();

        public void Run(List<int> output)
        {
            for (int at = 0, before = -1; at < text.Length;)
            {
                int length = Utf8Text.Length(text[at]);
                _token[at] = encoder._tokens.Get(text.AsSpan(at, length));
                _previous[at] = before;
                before = at;
                at = _next[at] = at + length;
            }
            for (int at = 0; _next[at] < text.Length; at = _next[at])
                Propose(at);
            while (_heap.Count > 0)
                Accept(_heap.Pop());
            for (int at = 0; at < text.Length; at = _next[at])
                Append(at, output);
        }

        private void Propose(int left)
        {
            int end = _next[_next[left]];
            int token = encoder._tokens.Get(text.AsSpan(left, end - left));
            _proposed[left] = token;
            if (token >= 0)
                _heap.Push((ulong)encoder._order[token] << 32 | (uint)left);
        }

        private void Accept(ulong proposal)
        {
            int left = (int)(uint)proposal;
            // A symbol that has changed since the proposal proposes something else now, or nothing.
            if (_token[left] == Merged || _next[left] >= text.Length || _proposed[left] < 0 || encoder._order[_proposed[left]] != proposal >> 32)
                return;
            int right = _next[left];
            _token[left] = _proposed[left];
            _token[right] = Merged;
            _next[left] = _next[right];
            if (_next[left] < text.Length)
            {
                _previous[_next[left]] = left;
                Propose(left);
            }
            if (_previous[left] >= 0)
                Propose(_previous[left]);
        }

        private void Append(int at, List<int> output)
        {
            if (_token[at] >= 0)
            {
                output.Add(_token[at]);
                return;
            }
            for (int i = at; i < _next[at]; i++)
            {
                int token = encoder._byteTokens[text[i]];
                if (token >= 0)
                    output.Add(token);
                else if (encoder._unknown >= 0)
                    output.Add(encoder._unknown);
            }
        }
    }
}
