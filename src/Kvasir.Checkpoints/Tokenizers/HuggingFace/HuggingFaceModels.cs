using System.Text.Json;
using Kvasir.Checkpoints.Tokenizers.Models;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>Reads the <c>model</c> of a tokenizer.json.</summary>
internal static class HuggingFaceModels
{
    private const int DefaultLongestWord = 100;

    /// <summary>What encodes words.</summary>
    /// <param name="model">The <c>model</c> object.</param>
    /// <param name="vocabulary">All tokens.</param>
    /// <param name="modelTexts">Texts of the model's own tokens.</param>
    /// <param name="fromBytes">Whether texts are spelled in the byte alphabet.</param>
    /// <param name="pairs">The byte-pair encoder, where the model is one.</param>
    /// <param name="kind">The algorithm, for people.</param>
    /// <param name="unknown">The unknown token; -1 where there is none.</param>
    public static WordEncoder Read(JsonElement model, Vocabulary vocabulary, string?[] modelTexts, bool fromBytes, out BpeModel? pairs, out string kind, out int unknown)
    {
        pairs = null;
        unknown = model.Text("unk_token") is { } text ? vocabulary.Find(text) : -1;
        switch (Type(model))
        {
            case "BPE":
                kind = fromBytes ? "byte-level BPE" : "BPE";
                var bpe = pairs = new BpeModel(Pairs(model, vocabulary, modelTexts, fromBytes, unknown));
                return PipelineEncoder.Words(bpe);
            case "Unigram":
                kind = "unigram";
                unknown = model.Number("unk_id") is { } id && id >= 0 && id < vocabulary.Size ? (int)id : -1;
                int[] bytes = ByteFallback.Tokens(vocabulary);
                var unigram = new UnigramModel(vocabulary, modelTexts, unknown, model.Flag("byte_fallback", false) && !bytes.Contains(-1) ? bytes : null);
                return unigram.Encode;
            case "WordPiece":
                kind = "WordPiece";
                return WordPieces(model, modelTexts, unknown).Encode;
            default:
                throw new CheckpointException($"The tokenizer's model is of the type \"{Type(model)}\"; Kvasir reads BPE, Unigram and WordPiece.");
        }
    }

    // Old files leave the type out; the members tell it.
    private static string Type(JsonElement model) =>
        model.Text("type") ?? (model.Member("merges").ValueKind == JsonValueKind.Array ? "BPE" : model.Member("vocab").ValueKind == JsonValueKind.Array ? "Unigram" : "WordPiece");

    private static BpeTables Pairs(JsonElement model, Vocabulary vocabulary, string?[] modelTexts, bool fromBytes, int unknown)
    {
        foreach (string name in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            if (model.Text(name) is { Length: > 0 } affix)
                throw new CheckpointException($"The tokenizer marks parts of words with \"{affix}\" ({name}), which Kvasir does not read.");
        var merges = new List<(string, string)>();
        foreach (var merge in model.GetProperty("merges").EnumerateArray())
        {
            if (merge.ValueKind == JsonValueKind.Array)
            {
                merges.Add((merge[0].GetString() ?? "", merge[1].GetString() ?? ""));
                continue;
            }
            string line = merge.GetString() ?? "";
            int space = line.Length > 1 ? line.IndexOf(' ', 1) : -1;
            merges.Add(space < 0 ? ("", "") : (line[..space], line[(space + 1)..]));
        }
        return new BpeTables(modelTexts, merges, fromBytes)
        {
            WholeWords = model.Flag("ignore_merges", false),
            ByteTokens = model.Flag("byte_fallback", false) ? ByteFallback.Tokens(vocabulary) : null,
            Unknown = unknown,
            FusesUnknown = model.Flag("fuse_unk", false),
        };
    }

    private static WordPieceModel WordPieces(JsonElement model, string?[] modelTexts, int unknown)
    {
        string prefix = model.Text("continuing_subword_prefix") ?? "##";
        var starts = new List<(string, int)>();
        var continuations = new List<(string, int)>();
        for (int id = 0; id < modelTexts.Length; id++)
        {
            if (modelTexts[id] is not { Length: > 0 } text)
                continue;
            starts.Add((text, id));
            if (text.StartsWith(prefix, StringComparison.Ordinal) && text.Length > prefix.Length)
                continuations.Add((text[prefix.Length..], id));
        }
        return new WordPieceModel(starts, continuations, unknown, (int)(model.Number("max_input_chars_per_word") ?? DefaultLongestWord));
    }
}
