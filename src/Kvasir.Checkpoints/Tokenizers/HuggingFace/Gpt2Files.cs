using System.Text.Json;
using System.Text.Json.Nodes;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>The older pair of files, <c>vocab.json</c> and <c>merges.txt</c>: GPT-2's byte-level encoding.</summary>
internal static class Gpt2Files
{
    /// <summary>The tokenizer.json that says the same.</summary>
    public static JsonDocument AsTokenizerJson(TokenizerFiles files)
    {
        var vocabulary = JsonNode.Parse(files.ReadText("vocab.json"))?.AsObject() ?? throw new JsonException("vocab.json is empty");
        var merges = new JsonArray();
        foreach (string line in files.ReadText("merges.txt").Split('\n'))
            if (line.Length > 0 && !line.StartsWith("#version", StringComparison.Ordinal))
                merges.Add(line.TrimEnd('\r'));
        var added = new JsonArray();
        foreach (string role in (string[])["bos_token", "eos_token", "unk_token", "pad_token"])
            if (files.RoleText(role) is { } text && vocabulary[text] is { } id && !added.Any(token => (string?)token!["content"] == text))
                added.Add(new JsonObject { ["id"] = (int)id, ["content"] = text, ["special"] = true, ["normalized"] = false });
        var json = new JsonObject
        {
            ["added_tokens"] = added,
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = files.Config.Flag("add_prefix_space", false), ["use_regex"] = true },
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel" },
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = merges },
        };
        return JsonDocument.Parse(json.ToJsonString());
    }
}
