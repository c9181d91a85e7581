using System.Text.Json;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>A token of a tokenizer.json's <c>added_tokens</c>.</summary>
internal sealed record AddedToken(int Id, string Text, bool Special, TokenEdges Edges)
{
    /// <summary>Reads the list.</summary>
    public static List<AddedToken> ReadAll(JsonElement json)
    {
        var tokens = new List<AddedToken>();
        if (json.ValueKind != JsonValueKind.Array)
            return tokens;
        foreach (var token in json.EnumerateArray())
        {
            var edges = (token.Flag("lstrip", false) ? TokenEdges.StripsLeft : 0) | (token.Flag("rstrip", false) ? TokenEdges.StripsRight : 0)
                | (token.Flag("single_word", false) ? TokenEdges.SingleWord : 0) | (token.Flag("normalized", true) ? TokenEdges.Normalized : 0);
            string text = token.GetProperty("content").GetString() ?? "";
            if (text.Length > 0)
                tokens.Add(new AddedToken(token.GetProperty("id").GetInt32(), text, token.Flag("special", false), edges));
        }
        return tokens;
    }
}
