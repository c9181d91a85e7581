namespace Kvasir.Checkpoints.Tokenizers.Models;

/// <summary>A unigram model with SentencePiece's normalization, as GGUF describes it (<c>t5</c>).</summary>
internal sealed class UnigramEncoder(UnigramModel model, CharacterMap? map, ByteTrie userDefined, UnigramSpaces spaces) : TextEncoder
{
    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<byte> text, bool atStart, List<int> output) => model.Encode(Normalize(text), output);

    private byte[] Normalize(ReadOnlySpan<byte> text)
    {
        var normalized = new List<byte>(text.Length * 2);
        bool began = false, inWord = false;
        var mark = SpaceMark.Bytes;
        for (int at = 0; at < text.Length;)
        {
            foreach (byte b in Next(text, ref at))
            {
                if (b == ' ')
                {
                    inWord = false;
                    if (!spaces.Merges)
                        normalized.AddRange(mark);
                    continue;
                }
                if (!inWord)
                {
                    inWord = true;
                    if ((spaces.Adds && !began) || spaces.Merges)
                    {
                        normalized.AddRange(mark);
                        began = true;
                    }
                }
                normalized.Add(b);
            }
        }
        return [.. normalized];
    }

    private ReadOnlySpan<byte> Next(ReadOnlySpan<byte> text, ref int at)
    {
        int start = at;
        int length = userDefined.LongestPath(text, at);
        if (length == 0 && map is not null && map.TryMatch(text[at..], out length, out var replacement))
        {
            at += length;
            return replacement;
        }
        if (length == 0)
            length = Utf8Text.Length(text[at]);
        at += length;
        return text.Slice(start, length);
    }
}

/// <summary>What a unigram model does with spaces.</summary>
/// <param name="Adds">Adds one before the text.</param>
/// <param name="Merges">Makes runs of them one.</param>
internal readonly record struct UnigramSpaces(bool Adds, bool Merges);
