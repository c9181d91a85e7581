using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Kvasir.Gateway.Requests;

/// <summary>
/// A prompt as the index sees it. Without a tokenizer four bytes of text stand for a token: equal prefixes stay equal
/// prefixes, and the count is near enough until answers tell the true one.
/// </summary>
public sealed class PromptTokens
{
    private const int BytesPerToken = 4;

    private PromptTokens(int[] ids, bool areTokens, double count) => (Ids, AreTokens, Count) = (ids, areTokens, count);

    /// <summary>Tokens, or four bytes of text each.</summary>
    public int[] Ids { get; }

    /// <summary>Whether these are the model's tokens.</summary>
    public bool AreTokens { get; }

    /// <summary>Tokens of the prompt, estimated where they are not known.</summary>
    public double Count { get; }

    /// <summary>The model that is asked, which may be an adapter; or null.</summary>
    public string? Model { get; private init; }

    /// <summary>What keeps its blocks apart from equal ones, or null.</summary>
    public string? Salt { get; private init; }

    /// <summary>Tokens per id: 1 for tokens, the estimate for text.</summary>
    public double PerId => Ids.Length == 0 ? 1 : Count / Ids.Length;

    /// <summary>The model's tokens.</summary>
    public static PromptTokens Of(int[] tokens) => new(tokens, true, tokens.Length);

    /// <summary>The same prompt to a model and under a salt.</summary>
    public PromptTokens For(string? model, string? salt) => new(Ids, AreTokens, Count) { Model = model, Salt = salt };

    /// <summary>Text of which no tokenizer is known.</summary>
    /// <param name="text">Its bytes.</param>
    /// <param name="tokensPerByte">As answers told so far.</param>
    public static PromptTokens OfText(ReadOnlySpan<byte> text, double tokensPerByte)
    {
        var ids = new int[text.Length / BytesPerToken];
        text[..(ids.Length * BytesPerToken)].CopyTo(MemoryMarshal.AsBytes(ids.AsSpan()));
        if (!BitConverter.IsLittleEndian) BinaryPrimitives.ReverseEndianness(ids, ids);
        return new PromptTokens(ids, false, Math.Max(1, text.Length * tokensPerByte));
    }
}
