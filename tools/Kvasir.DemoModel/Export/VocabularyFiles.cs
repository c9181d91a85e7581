using System.Text.Json.Nodes;
using Kvasir.DemoModel.Network;
using Kvasir.DemoModel.Training;
using Kvasir.DemoModel.Vocabulary;
using Kvasir.Synthesis;

namespace Kvasir.DemoModel.Export;

/// <summary>The vocabulary as GGUF's metadata and as tokenizer.json write it.</summary>
internal sealed class VocabularyFiles(BytePairVocabulary vocabulary)
{
    // GGUF's token types.
    private const int Normal = 1, Control = 3;

    private readonly string[] _tokens = [.. Enumerable.Range(0, vocabulary.Size).Select(vocabulary.Spell)];
    private readonly string[] _merges = [.. vocabulary.SpellMerges()];

    public int EndOfText => vocabulary.EndOfTextId;

    public int MessageEnd => vocabulary.MessageEndId;

    private int[] Specials => [vocabulary.EndOfTextId, vocabulary.MessageStartId, vocabulary.MessageEndId];

    public void Write(GgufWriter output) => output
        .Text("tokenizer.ggml.model", "gpt2").Text("tokenizer.ggml.pre", "qwen2")
        .Texts("tokenizer.ggml.tokens", _tokens)
        .Int32s("tokenizer.ggml.token_type", [.. Enumerable.Range(0, _tokens.Length).Select(id => id < EndOfText ? Normal : Control)])
        .Texts("tokenizer.ggml.merges", _merges)
        .UInt32("tokenizer.ggml.bos_token_id", EndOfText).UInt32("tokenizer.ggml.eos_token_id", MessageEnd)
        .UInt32("tokenizer.ggml.eot_token_id", MessageEnd).UInt32("tokenizer.ggml.padding_token_id", EndOfText)
        .Bool("tokenizer.ggml.add_bos_token", false).Text("tokenizer.chat_template", ChatText.Template);

    /// <summary>tokenizer.json.</summary>
    public JsonObject ToJson()
    {
        var ids = new JsonObject();
        for (int id = 0; id < EndOfText; id++)
            ids.Add(_tokens[id], id);
        return new()
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray([.. Specials.Select(id => (JsonNode)Special(id, ("id", id)))]),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject
                    {
                        ["type"] = "Split",
                        ["pattern"] = new JsonObject { ["Regex"] = BytePairVocabulary.Pattern },
                        ["behavior"] = "Isolated",
                        ["invert"] = false,
                    },
                    ByteLevel()),
            },
            ["post_processor"] = null,
            ["decoder"] = ByteLevel(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["dropout"] = null, ["unk_token"] = null, ["continuing_subword_prefix"] = "", ["end_of_word_suffix"] = "",
                ["fuse_unk"] = false, ["byte_fallback"] = false, ["vocab"] = ids,
                ["merges"] = new JsonArray([.. _merges.Select(merge => (JsonNode)merge)]),
            },
        };
    }

    /// <summary>tokenizer_config.json.</summary>
    public JsonObject Configuration() => new()
    {
        ["tokenizer_class"] = "PreTrainedTokenizerFast",
        ["bos_token"] = BytePairVocabulary.EndOfText,
        ["eos_token"] = BytePairVocabulary.MessageEnd,
        ["pad_token"] = BytePairVocabulary.EndOfText,
        ["add_bos_token"] = false,
        ["clean_up_tokenization_spaces"] = false,
        ["model_max_length"] = Shape.Context,
        ["added_tokens_decoder"] = new JsonObject([.. Specials.Select(id => KeyValuePair.Create<string, JsonNode?>($"{id}", Special(id)))]),
    };

    private JsonObject Special(int id, params (string Key, JsonNode Value)[] first)
    {
        var token = new JsonObject([.. first.Select(field => KeyValuePair.Create<string, JsonNode?>(field.Key, field.Value))]);
        token["content"] = _tokens[id];
        foreach (string flag in (string[])["single_word", "lstrip", "rstrip", "normalized"])
            token[flag] = false;
        token["special"] = true;
        return token;
    }

    private static JsonObject ByteLevel() =>
        new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = false, ["use_regex"] = false };
}
