using System.Text.Json.Nodes;

namespace Kvasir.Synthesis;

/// <summary>
/// A small byte-level BPE vocabulary: 256 bytes, five control tokens, a few merges, and unused tokens up to the wanted size.
/// It reads and writes any text.
/// </summary>
internal sealed class SyntheticTokenizer
{
    public const int BeginId = 256, EndId = 257, FirstPieceId = 261;

    public const string ChatTemplate =
        "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

    // GGUF's token types.
    private const int Normal = 1, Control = 3, Unused = 5;

    private static readonly string[] Specials = ["<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"];

    private static readonly string[] MergeList =
        ["Ġ t", "h e", "i n", "r e", "o n", "Ġt he", "e r", "Ġ a", "a t", "Ġ s", "e n", "Ġ o", "a n", "in g", "o r", "Ġ w", "Ġo f", "Ġan d", "Ġ an", "e s"];

    private readonly List<string> _tokens = [];
    private readonly List<int> _types = [];
    private readonly List<string> _merges = [];

    /// <param name="vocabulary">Tokens in all.</param>
    /// <param name="words">Words of letters in the place of merges and unused tokens: what is written in them reads back as the same tokens.</param>
    public SyntheticTokenizer(int vocabulary, bool words = false)
    {
        if (vocabulary < 320) throw new ArgumentException($"A vocabulary of {vocabulary} tokens is too small; 320 or more are needed for bytes, control tokens and merges.", nameof(vocabulary));
        foreach (var character in ByteCharacters()) Add(character.ToString(), Normal);
        foreach (var special in Specials) Add(special, Control);
        if (words) AddWords(vocabulary);
        else AddMerges();
        while (_tokens.Count < vocabulary) Add($"<|unused{_tokens.Count}|>", Unused);
    }

    /// <summary>Bytes, control tokens, then the given pieces, which text is never read as.</summary>
    public SyntheticTokenizer(IEnumerable<ReadOnlyMemory<byte>> pieces)
    {
        var characters = ByteCharacters().ToArray();
        foreach (var character in characters) Add(character.ToString(), Normal);
        foreach (var special in Specials) Add(special, Control);
        foreach (var piece in pieces) Add(string.Concat(piece.ToArray().Select(part => characters[part])), Normal);
    }

    /// <summary>Tokens in all.</summary>
    public int Size => _tokens.Count;

    public void Write(GgufWriter output, string chatTemplate = ChatTemplate) => output
        .Text("tokenizer.ggml.model", "gpt2").Text("tokenizer.ggml.pre", "gpt-2")
        .Texts("tokenizer.ggml.tokens", _tokens).Int32s("tokenizer.ggml.token_type", _types).Texts("tokenizer.ggml.merges", _merges)
        .UInt32("tokenizer.ggml.bos_token_id", BeginId).UInt32("tokenizer.ggml.eos_token_id", EndId)
        .Bool("tokenizer.ggml.add_bos_token", true).Text("tokenizer.chat_template", chatTemplate);

    /// <summary>tokenizer.json.</summary>
    public JsonObject ToJson()
    {
        var vocabulary = new JsonObject();
        for (var i = 0; i < _tokens.Count; i++) vocabulary[_tokens[i]] = i;
        var byteLevel = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = true };
        return new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. Specials.Select((text, i) => (JsonNode)new JsonObject
            {
                ["id"] = BeginId + i, ["content"] = text, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = false, ["special"] = true,
            })]),
            ["normalizer"] = null,
            ["pre_tokenizer"] = byteLevel,
            ["post_processor"] = new JsonObject
            {
                ["type"] = "TemplateProcessing",
                ["single"] = new JsonArray(Piece("SpecialToken", Specials[0]), Piece("Sequence", "A")),
                ["pair"] = new JsonArray(Piece("SpecialToken", Specials[0]), Piece("Sequence", "A"), Piece("Sequence", "B")),
                ["special_tokens"] = new JsonObject
                {
                    [Specials[0]] = new JsonObject { ["id"] = Specials[0], ["ids"] = new JsonArray(BeginId), ["tokens"] = new JsonArray(Specials[0]) },
                },
            },
            ["decoder"] = byteLevel.DeepClone(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray([.. _merges.Select(merge => (JsonNode)merge)]),
            },
        };
    }

    /// <summary>tokenizer_config.json.</summary>
    public static JsonObject Configuration() => new()
    {
        ["bos_token"] = Specials[0], ["eos_token"] = Specials[1], ["add_bos_token"] = true, ["chat_template"] = ChatTemplate,
    };

    private static JsonObject Piece(string kind, string id) => new() { [kind] = new JsonObject { ["id"] = id, ["type_id"] = 0 } };

    private void AddMerges()
    {
        foreach (var merge in MergeList)
        {
            _merges.Add(merge);
            var merged = merge.Replace(" ", "", StringComparison.Ordinal);
            if (!_tokens.Contains(merged)) Add(merged, Normal);
        }
    }

    /// <summary>A space and letters, shorter words first; each is a shorter one and a letter, so no text has two readings.</summary>
    private void AddWords(int vocabulary)
    {
        var shorter = new List<string> { "Ġ" };
        while (_tokens.Count < vocabulary)
        {
            var longer = new List<string>();
            foreach (var start in shorter)
            {
                for (var letter = 'a'; letter <= 'z' && _tokens.Count < vocabulary; letter++)
                {
                    _merges.Add($"{start} {letter}");
                    Add(start + letter, Normal);
                    longer.Add(start + letter);
                }
            }
            shorter = longer;
        }
    }

    private void Add(string text, int type)
    {
        _tokens.Add(text);
        _types.Add(type);
    }

    /// <summary>GPT-2's printable stand-ins for the bytes 0 to 255.</summary>
    private static IEnumerable<char> ByteCharacters()
    {
        var next = 256;
        for (var value = 0; value < 256; value++)
            yield return (char)(value is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE ? value : next++);
    }
}
