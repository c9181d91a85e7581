using System.Text.Json.Nodes;
using Kvasir.Checkpoints.Gguf;
using Kvasir.Checkpoints.Tokenizers;

namespace Kvasir.Checkpoints.Tests.Tokenizers;

public sealed class TokenizerJsonTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("kvasir-tokenizer-");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void A_byte_level_tokenizer_json_gives_the_ids_of_the_same_vocabulary_in_gguf()
    {
        var expected = VocabularyVectors.Open("gpt-2");
        Write("tokenizer.json", FromGguf("gpt-2", new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["use_regex"] = true }, new JsonObject { ["type"] = "ByteLevel" }));
        var tokenizer = Tokenizer.FromTokenizerJson(_directory.FullName);
        foreach (var (text, ids) in VocabularyVectors.Cases("gpt-2"))
        {
            Assert.Equal(ids, tokenizer.Encode(text, addSpecial: false, parseSpecial: false));
            Assert.Equal(text, tokenizer.Decode(ids));
        }
        Assert.Equal(expected.VocabularySize, tokenizer.VocabularySize);
    }

    [Fact]
    public void Vocab_json_with_merges_txt_gives_the_same_ids()
    {
        var json = FromGguf("gpt-2", new JsonObject(), new JsonObject());
        Write("vocab.json", json["model"]!["vocab"]!.DeepClone());
        File.WriteAllText(Path.Combine(_directory.FullName, "merges.txt"), "#version: 0.2\n" + string.Join('\n', json["model"]!["merges"]!.AsArray().Select(merge => (string?)merge)));
        var tokenizer = Tokenizer.FromTokenizerJson(_directory.FullName);
        foreach (var (text, ids) in VocabularyVectors.Cases("gpt-2"))
            Assert.Equal(ids, tokenizer.Encode(text, addSpecial: false, parseSpecial: false));
    }

    [Fact]
    public void Metaspace_with_byte_fallback_and_a_template_behaves_like_llama()
    {
        var tokenizer = Small("""
            {
              "added_tokens": [
                {"id": 0, "content": "<unk>", "special": true, "normalized": false},
                {"id": 1, "content": "<s>", "special": true, "normalized": false},
                {"id": 2, "content": "</s>", "special": true, "normalized": false, "lstrip": true, "rstrip": true}
              ],
              "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
              "pre_tokenizer": null,
              "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
              "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
              "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
                "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "<0xC3>": 3, "<0xA9>": 4, "▁": 5, "a": 6, "b": 7, "ab": 8, "▁ab": 9},
                "merges": ["a b", ["▁", "ab"]]}
            }
            """);
        Assert.Equal([1, 9, 5, 6, 3, 4], tokenizer.Encode("ab aé", addSpecial: true, parseSpecial: true));
        Assert.Equal([9, 2, 9], tokenizer.Encode("ab </s> ab", addSpecial: false, parseSpecial: true));
        Assert.Equal("ab aé", tokenizer.Decode([1, 9, 5, 6, 3, 4]));
        Assert.Equal([9, 0], tokenizer.Encode("abxyz", addSpecial: false, parseSpecial: false));
        Assert.Equal(0, tokenizer.Unknown);
        Assert.True(tokenizer.IsSpecial(1));
    }

    [Fact]
    public void Unigram_takes_the_segmentation_of_the_highest_score()
    {
        var tokenizer = Small("""
            {
              "added_tokens": [{"id": 0, "content": "<unk>", "special": true}],
              "normalizer": {"type": "NFKC"},
              "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
              "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
              "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["▁", -2.0], ["▁hel", -3.0], ["lo", -3.0], ["▁he", -2.5], ["llo", -2.6], ["f", -4.0], ["i", -4.0]]}
            }
            """);
        Assert.Equal([4, 5, 1, 6, 7], tokenizer.Encode("hello ﬁ", addSpecial: false, parseSpecial: false));
        Assert.Equal([4, 5, 1, 0], tokenizer.Encode("hello zzz", addSpecial: false, parseSpecial: false));
        Assert.Equal("hello fi", tokenizer.Decode([4, 5, 1, 6, 7]));
    }

    [Fact]
    public void WordPiece_lowers_strips_accents_and_frames_the_text()
    {
        var tokenizer = Small("""
            {
              "added_tokens": [{"id": 0, "content": "[UNK]", "special": true}, {"id": 1, "content": "[CLS]", "special": true}, {"id": 2, "content": "[SEP]", "special": true}],
              "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
              "pre_tokenizer": {"type": "BertPreTokenizer"},
              "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
              "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
              "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "caf": 3, "##e": 4, "!": 5, "你": 6}}
            }
            """);
        Assert.Equal([1, 3, 4, 5, 6, 0, 2], tokenizer.Encode("Café!你好", addSpecial: true, parseSpecial: false));
        Assert.Equal("cafe !", tokenizer.Decode([3, 4, 5]));
    }

    [Theory]
    [InlineData("Removed", "1,2")]
    [InlineData("Isolated", "1,3,2")]
    [InlineData("MergedWithPrevious", "4,2")]
    [InlineData("MergedWithNext", "1,5")]
    public void A_split_keeps_its_delimiter_as_it_is_told(string behavior, string ids)
    {
        var tokenizer = Small($$$"""
            {
              "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "-"}, "behavior": "{{{behavior}}}", "invert": false},
              "model": {"type": "WordPiece", "unk_token": "?", "vocab": {"?": 0, "a": 1, "b": 2, "-": 3, "a-": 4, "-b": 5}}
            }
            """);
        Assert.Equal(ids, string.Join(',', tokenizer.Encode("a-b", addSpecial: false, parseSpecial: false)));
    }

    [Fact]
    public void Generation_config_says_where_generation_ends()
    {
        Write("generation_config.json", JsonNode.Parse("""{"eos_token_id": [3, 5]}""")!);
        Write("tokenizer_config.json", JsonNode.Parse("""{"eos_token": {"content": "-"}, "bos_token": "a"}""")!);
        var tokenizer = Small("""{"model": {"type": "WordPiece", "unk_token": "?", "vocab": {"?": 0, "a": 1, "b": 2, "-": 3, "<|im_end|>": 4, "c": 5}}}""");
        Assert.Equal([3, 5], tokenizer.EndOfGeneration.Order());
        Assert.Equal((1, 3), (tokenizer.Bos!.Value, tokenizer.Eos!.Value));
    }

    [Fact]
    public void Ids_may_leave_some_gaps()
    {
        var tokenizer = Small("""{"model": {"type": "BPE", "vocab": {"a": 0, "b": 4000}, "merges": []}}""");
        Assert.Equal(4001, tokenizer.VocabularySize);
        Assert.Equal([0, 4000], tokenizer.Encode("ab", addSpecial: false, parseSpecial: false));
    }

    [Theory]
    [InlineData("{", "is not JSON")]
    [InlineData("{}", "not as Hugging Face writes one")]
    [InlineData("""{"model": {"type": "WordLevel", "vocab": {}}}""", "WordLevel")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 2000000000}, "merges": []}}""", "damaged")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 900000}, "merges": []}}""", "ids up to 900000 for 1 tokens")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 2147483647}, "merges": []}}""", "ids up to 2147483647")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}""", "negative id")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated"}}""", "group without an end")]
    public void A_damaged_or_unknown_tokenizer_json_is_an_error_that_names_it(string json, string words)
    {
        File.WriteAllText(Path.Combine(_directory.FullName, "tokenizer.json"), json);
        var error = Assert.Throws<CheckpointException>(() => Tokenizer.FromTokenizerJson(_directory.FullName));
        Assert.Contains(words, error.Message, StringComparison.Ordinal);
    }

    private Tokenizer Small(string json)
    {
        File.WriteAllText(Path.Combine(_directory.FullName, "tokenizer.json"), json);
        return Tokenizer.Open(_directory.FullName);
    }

    private void Write(string name, JsonNode json) => File.WriteAllText(Path.Combine(_directory.FullName, name), json.ToJsonString());

    private static JsonObject FromGguf(string name, JsonNode preTokenizer, JsonNode decoder)
    {
        VocabularyVectors.Open(name);
        using var file = GgufFile.Open(Path.Combine(VocabularyVectors.Folder, $"ggml-vocab-{name}.gguf"));
        file.Metadata.TryGetStrings("tokenizer.ggml.tokens", out var tokens);
        file.Metadata.TryGetStrings("tokenizer.ggml.merges", out var merges);
        var vocabulary = new JsonObject();
        for (int id = 0; id < tokens!.Length; id++)
            vocabulary[tokens[id]] = id;
        return new JsonObject
        {
            ["pre_tokenizer"] = preTokenizer,
            ["decoder"] = decoder,
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray([.. merges!.Select(merge => JsonValue.Create(merge))]) },
        };
    }
}
