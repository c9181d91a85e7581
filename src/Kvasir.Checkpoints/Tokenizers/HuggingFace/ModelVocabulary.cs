using System.Text.Json;
using Kvasir.Checkpoints.Tokenizers.Models;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>Reads the tokens of a tokenizer.json: those of its model and those added.</summary>
internal static class ModelVocabulary
{
    // Ids may leave gaps: as many as there are tokens, and these. One damaged id must not make a small file fill the memory.
    private const int MoreGaps = 4096;

    /// <summary>Reads the tokens by id; gaps are unused tokens.</summary>
    /// <param name="model">The <c>model</c> object.</param>
    /// <param name="added">The added tokens.</param>
    /// <param name="hasBytes">Whether <c>&lt;0x0A&gt;</c> stands for a byte.</param>
    /// <param name="modelTexts">Texts of the model's own tokens; null for others.</param>
    public static Vocabulary Read(JsonElement model, List<AddedToken> added, bool hasBytes, out string?[] modelTexts)
    {
        var entries = Entries(model.GetProperty("vocab"));
        var known = entries.Count + added.Count;
        int last = Math.Max(entries.Count == 0 ? -1 : entries.Max(entry => entry.Id), added.Count == 0 ? -1 : added.Max(token => token.Id));
        if (last > (2L * known) + MoreGaps)
            throw new CheckpointException($"The tokenizer has ids up to {last} for {known} tokens, but at most {(2L * known) + MoreGaps} was expected; it is damaged. Fetch tokenizer.json again.");
        if (entries.Exists(entry => entry.Id < 0) || added.Exists(token => token.Id < 0))
            throw new CheckpointException("The tokenizer has a negative id, but ids begin at 0; it is damaged. Fetch tokenizer.json again.");
        int size = last + 1;
        modelTexts = new string?[size];
        var texts = new string[size];
        var kinds = new TokenKind[size];
        var scores = new float[size];
        for (int id = 0; id < size; id++)
            (texts[id], kinds[id]) = ($"[UNUSED_{id}]", TokenKind.Unused);
        foreach (var (text, id, score) in entries)
        {
            modelTexts[id] = texts[id] = text;
            kinds[id] = hasBytes && ByteFallback.Parse(text) >= 0 ? TokenKind.Byte : TokenKind.Normal;
            scores[id] = score;
        }
        foreach (var token in added)
            (texts[token.Id], kinds[token.Id]) = (token.Text, token.Special ? TokenKind.Control : TokenKind.UserDefined);
        var vocabulary = new Vocabulary(texts, kinds, scores);
        foreach (var token in added)
            vocabulary.Edges[token.Id] = token.Edges;
        return vocabulary;
    }

    /// <summary>An object of ids by text, or (unigram) a list of texts with scores.</summary>
    private static List<(string Text, int Id, float Score)> Entries(JsonElement vocabulary)
    {
        var entries = new List<(string, int, float)>();
        if (vocabulary.ValueKind == JsonValueKind.Array)
        {
            foreach (var pair in vocabulary.EnumerateArray())
                entries.Add((pair[0].GetString() ?? "", entries.Count, (float)pair[1].GetDouble()));
            return entries;
        }
        foreach (var member in vocabulary.EnumerateObject())
            entries.Add((member.Name, member.Value.GetInt32(), 0));
        return entries;
    }
}
