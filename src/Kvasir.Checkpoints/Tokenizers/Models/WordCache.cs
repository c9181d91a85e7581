using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Kvasir.Checkpoints.Tokenizers.Models;

/// <summary>
/// The tokens of short words seen lately. A word has one slot and takes it over from whichever word was there,
/// so the size is fixed and nothing is ever searched. Not for several threads at once.
/// </summary>
internal sealed class WordCache
{
    /// <summary>Bytes of the longest word that is kept.</summary>
    public const int LongestWord = 15;

    private const int MostTokens = 4;
    private const int SlotBits = 14;
    private readonly Slot[] _slots = new Slot[1 << SlotBits];

    private struct Slot
    {
        public ulong Low;
        public ulong High;
        public Tokens Tokens;
    }

    [InlineArray(MostTokens)]
    private struct Tokens
    {
        private int _first;
    }

    /// <summary>A word of at most <see cref="LongestWord"/> bytes, its length in the last byte.</summary>
    public readonly record struct Key(ulong Low, ulong High)
    {
        /// <summary>The key of the word from <paramref name="start"/> to <paramref name="end"/>.</summary>
        public static Key Of(ReadOnlySpan<byte> text, int start, int end)
        {
            int length = end - start;
            ulong low, high;
            if (start + 16 <= text.Length)
            {
                low = BinaryPrimitives.ReadUInt64LittleEndian(text[start..]);
                high = BinaryPrimitives.ReadUInt64LittleEndian(text[(start + 8)..]);
            }
            else
            {
                Span<byte> padded = stackalloc byte[16];
                padded.Clear();
                text[start..end].CopyTo(padded);
                low = BinaryPrimitives.ReadUInt64LittleEndian(padded);
                high = BinaryPrimitives.ReadUInt64LittleEndian(padded[8..]);
            }
            if (length < 8)
                return new Key(low & ((1UL << 8 * length) - 1), (ulong)length << 56);
            return new Key(low, high & ((1UL << 8 * (length - 8)) - 1) | (ulong)length << 56);
        }

        public int Slot => (int)(BitOperations.RotateLeft(Low * 0x9E3779B97F4A7C15 ^ High, 31) * 0xD6E8FEB86659FD93 >> (64 - SlotBits));
    }

    /// <summary>Appends the tokens of a word; false when it is not here.</summary>
    public bool TryAppend(Key key, List<int> output)
    {
        ref var slot = ref _slots[key.Slot];
        if (slot.Low != key.Low || slot.High != key.High)
            return false;
        for (int i = 0; i < MostTokens && slot.Tokens[i] >= 0; i++)
            output.Add(slot.Tokens[i]);
        return true;
    }

    /// <summary>Keeps the tokens of a word, if there are few.</summary>
    public void Keep(Key key, ReadOnlySpan<int> tokens)
    {
        if (tokens.Length > MostTokens)
            return;
        ref var slot = ref _slots[key.Slot];
        (slot.Low, slot.High) = (key.Low, key.High);
        for (int i = 0; i < MostTokens; i++)
            slot.Tokens[i] = i < tokens.Length ? tokens[i] : -1;
    }
}
