using System.Text;
using System.Text.Json;
using Kvasir.Checkpoints.Tokenizers.Models;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>
/// The <c>decoder</c> of a tokenizer.json, as bytes per token and a rule for the first space: what all decoders in use come down to.
/// Clean-up of spaces before punctuation is never done, so that decoding loses nothing.
/// </summary>
internal sealed record TokenDecoding(PieceSpelling Spelling, bool HasBytes, bool StripsFirstSpace, string? Continuation)
{
    /// <summary>Reads a decoder.</summary>
    /// <exception cref="CheckpointException">It is of a kind that is not known.</exception>
    public static TokenDecoding Read(JsonElement json, bool fromBytes)
    {
        var decoding = new TokenDecoding(fromBytes ? PieceSpelling.ByteAlphabet : PieceSpelling.Plain, false, false, null);
        return Read(json, decoding);
    }

    /// <summary>What each token decodes to.</summary>
    public ReadOnlyMemory<byte>[] Pieces(Vocabulary vocabulary)
    {
        var pieces = TokenPieces.Make(vocabulary, Spelling);
        if (Continuation is null)
            return pieces;
        for (int id = 0; id < pieces.Length; id++)
        {
            if (vocabulary.Kinds[id] != TokenKind.Normal)
                continue;
            string text = vocabulary.Texts[id];
            pieces[id] = Encoding.UTF8.GetBytes(text.StartsWith(Continuation, StringComparison.Ordinal) ? text[Continuation.Length..] : " " + text);
        }
        return pieces;
    }

    private static TokenDecoding Read(JsonElement json, TokenDecoding decoding)
    {
        if (json.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined)
            return decoding;
        string type = json.GetProperty("type").GetString() ?? "";
        return type switch
        {
            "Sequence" => json.GetProperty("decoders").EnumerateArray().Aggregate(decoding, (current, step) => Read(step, current)),
            "ByteLevel" => decoding with { Spelling = PieceSpelling.ByteAlphabet },
            "ByteFallback" => decoding with { HasBytes = true },
            "Metaspace" => decoding with { Spelling = PieceSpelling.SpaceMarks, StripsFirstSpace = (json.Text("prepend_scheme") ?? (json.Flag("add_prefix_space", true) ? "always" : "never")) != "never" },
            "Replace" when json.Member("pattern").Text("String") == SpaceMark.Character.ToString() => decoding with { Spelling = PieceSpelling.SpaceMarks },
            "Strip" => decoding with { StripsFirstSpace = json.Text("content") == " " && json.Number("start") > 0 },
            "WordPiece" => decoding with { Continuation = json.Text("prefix") ?? "##", StripsFirstSpace = true },
            "Fuse" or "Replace" => decoding,
            _ => throw new CheckpointException($"The tokenizer decodes by \"{type}\", which Kvasir does not know; it knows Sequence, ByteLevel, ByteFallback, Metaspace, Replace, Strip, WordPiece and Fuse."),
        };
    }
}
