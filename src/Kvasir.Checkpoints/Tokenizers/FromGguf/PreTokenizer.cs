using Kvasir.Checkpoints.Tokenizers.Patterns;
using Kvasir.Checkpoints.Tokenizers.Splitting;

namespace Kvasir.Checkpoints.Tokenizers.FromGguf;

/// <summary>What a GGUF file's <c>tokenizer.ggml.pre</c> stands for (the names and meanings are llama.cpp's).</summary>
internal sealed record PreTokenizer
{
    /// <summary>Splitters, coarse to fine.</summary>
    public required WordSplitter[] Splitters { get; init; }

    /// <summary>Whether a word that is a token is that token, whatever its merges would give.</summary>
    public bool WholeWords { get; init; }

    /// <summary>Whether the beginning-of-sequence token is added where the file doesn't say.</summary>
    public bool AddsBos { get; init; }

    /// <summary>Whether words are bytes in GPT-2's alphabet; otherwise characters with byte tokens to fall back on.</summary>
    public bool FromBytes { get; init; } = true;

    /// <summary>Whether spaces are written U+2581.</summary>
    public bool MarksSpaces { get; init; }

    /// <summary>Whether the family is Gemma 4's, with whole words of line feeds and a beginning-of-sequence token in any case.</summary>
    public bool IsGemma { get; init; }

    /// <summary>Whether there is no beginning-of-sequence token unless the file names one.</summary>
    public bool HasNoDefaultBos { get; init; }

    /// <summary>The pre-tokenizer of a name; null when it is not known.</summary>
    public static PreTokenizer? Named(string name) => Table.TryGetValue(name, out var make) ? make() : null;

    /// <summary>All names, in alphabetical order.</summary>
    public static IEnumerable<string> Names => Table.Keys.Where(name => name.Length > 0).Order(StringComparer.Ordinal);

    private static readonly Dictionary<string, Func<PreTokenizer>> Table = MakeTable();

    private static Dictionary<string, Func<PreTokenizer>> MakeTable()
    {
        var table = new Dictionary<string, Func<PreTokenizer>>(StringComparer.Ordinal);
        void Add(string names, Func<PreTokenizer> make)
        {
            foreach (string name in names.Split(' '))
                table.Add(name, make);
        }

        AddGpt2Like(Add);
        AddGpt4Like(Add);
        AddOthers(Add);
        return table;
    }

    private static void AddGpt2Like(Action<string, Func<PreTokenizer>> add)
    {
        var gpt2 = () => new PreTokenizer { Splitters = [new Gpt2Splitter()] };
        add("gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert exaone4 mpt olmo jais trillion granite-docling", gpt2);
        add("jina-v1-en jina-v2-code roberta-bpe", gpt2);
        add("starcoder refact command-r smollm codeshell exaone minerva-7b mellum2",
            () => new PreTokenizer { Splitters = [Pattern(@"\p{N}"), new Gpt2Splitter()] });
        add(" default", () => new PreTokenizer
        {
            Splitters = [Pattern(@"[\p{P}$+<=>^~|]+"), new Gpt2Splitter(), Pattern(@"\p{N}+"), Pattern("[0-9][0-9][0-9]")],
        });
        add("falcon", () => new PreTokenizer { Splitters = [Pattern(@"[\p{P}$+<=>^~|`]+"), new Gpt2Splitter(), Pattern("[0-9][0-9][0-9]")] });
        add("chameleon", () => new PreTokenizer
        {
            Splitters =
            [
                Pattern("<sentinel:[0-9]+>"), Pattern("(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"), Pattern(@"([\t\n]|    |  )"),
                Pattern(@"\p{N}"), Pattern(@"[\p{P}!-/:-@\[-`{-~]"), new Gpt2Splitter(),
            ],
            AddsBos = true,
        });
    }

    private static void AddGpt4Like(Action<string, Func<PreTokenizer>> add)
    {
        var apart = new WordRules { ContractionsApart = true };
        var attached = new WordRules { ContractionsAttached = true, Tail = TailRule.LineEndsAndSlashes };
        var inThrees = apart with { Digits = 3 };
        var gpt4o = attached with { Letters = LetterRule.CasedAscii, Digits = 3 };
        add("llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
            () => new PreTokenizer { Splitters = [Rules(inThrees)], WholeWords = true, AddsBos = true });
        add("dbrx smaug-bpe", () => new PreTokenizer { Splitters = [Rules(inThrees)] });
        add("glm4 chatglm-bpe", () => new PreTokenizer { Splitters = [Rules(inThrees)], HasNoDefaultBos = true });
        add("jais-2", () => new PreTokenizer { Splitters = [Rules(inThrees with { HalvesWhiteSpace = true })] });
        add("qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2 bailingmoe bailingmoe2 llada-moe",
            () => new PreTokenizer { Splitters = [Rules(apart)] });
        add("qwen35", () => new PreTokenizer { Splitters = [Rules(apart with { Letters = LetterRule.LettersAndMarks, MarksAreNoPunctuation = true })] });
        add("seed-coder", () => new PreTokenizer { Splitters = [Rules(apart with { Tail = TailRule.None })] });
        add("laguna", () => new PreTokenizer { Splitters = [new LineSplitter(), Rules(apart)] });
        add("minicpm5", () => new PreTokenizer { Splitters = [Pattern(@"\p{N}{1,3}"), Rules(apart with { Digits = 0 })], WholeWords = true });
        add("gpt-4o llama4 kanana2 talkie minimax-m2", () => new PreTokenizer { Splitters = [Rules(gpt4o)] });
        add("granite-embed-multi-97m", () => new PreTokenizer { Splitters = [Rules(gpt4o with { Letters = LetterRule.CasedAsciiAndMarks })], WholeWords = true });
        add("tekken", () => new PreTokenizer
        {
            Splitters = [Rules(gpt4o with { ContractionsAttached = false, Digits = 1 })],
            WholeWords = true,
            AddsBos = true,
        });
        add("tiny_aya cohere2moe", () => new PreTokenizer
        {
            Splitters = [new DigitGroupSplitter(), Rules(attached with { Letters = LetterRule.LettersAndMarks, Digits = 3 })],
        });
        add("youtu", () => new PreTokenizer
        {
            Splitters =
            [
                Pattern(@"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"),
                Rules(attached with { Letters = LetterRule.LettersAndMarks }),
            ],
            WholeWords = true,
        });
    }

    private static void AddOthers(Action<string, Func<PreTokenizer>> add)
    {
        // The Han blocks that llama.cpp takes for \p{Han}; letters in them are no part of other words.
        const string Han = @"\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2EBEF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}";
        const string PunctuatedWord = @"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
        add("deepseek-llm", () => new PreTokenizer
        {
            Splitters =
            [
                Pattern(@"[\r\n]"), Pattern($@"\s?[{PreTokenizerData.CasedLetters}]+"), Pattern(@"\s?[!-/:-~！-／：-～‘-‟\u3001-\u3002]+"),
                new TrailingSpaceSplitter(), Pattern(@"[一-龥\u0800-一가-\uD7FF&&[^\s]]+"), Pattern(@"\p{N}+"),
            ],
        });
        add("deepseek-coder", () => new PreTokenizer
        {
            Splitters = [Pattern(@"[\r\n]"), Pattern(@"\s?\p{L}+"), Pattern(@"\s?\p{P}+"), Pattern(@"[一-龥\u0800-一가-\uD7FF&&[^\s]]+"), Pattern(@"\p{N}")],
        });
        add("deepseek-v3 hunyuan-dense joyai-llm",
            () => new PreTokenizer { Splitters = [Pattern(@"\p{N}{1,3}"), Pattern("[一-龥぀-ゟ゠-ヿ]+"), Pattern(PunctuatedWord)] });
        add("afmoe", () => new PreTokenizer
        {
            Splitters = [new DigitGroupSplitter(), Pattern($"[{PreTokenizerData.AsianScripts}]+"), Pattern(PunctuatedWord)],
        });
        add("poro-chat bloom gpt3-finnish", () => new PreTokenizer { Splitters = [Pattern(@" ?[^(\s|.,!?…。，、।۔،)]+")] });
        add("viking", () => new PreTokenizer { Splitters = [Pattern(@" ?[^(\s|.,!?…。，、।۔،)]+"), Pattern(@"\p{N}")] });
        add("superbpe", () => new PreTokenizer { Splitters = [Pattern(@"\p{N}+"), new AsciiDigitGroupSplitter()] });
        add("exaone-moe", () => new PreTokenizer
        {
            Splitters = [Pattern(@"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+")],
        });
        add("kimi-k2", () => new PreTokenizer
        {
            Splitters = [Pattern($@"[{Han}]+|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}&&[^{Han}]]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")],
        });
        add("gemma4 granite-embed-multi-311m", () => new PreTokenizer { Splitters = [new LineSplitter()], FromBytes = false, MarksSpaces = true, IsGemma = true });
        add("sarvam-moe", () => new PreTokenizer { Splitters = [new LineSplitter()], FromBytes = false, MarksSpaces = true });
        add("whitespace", () => new PreTokenizer { Splitters = [Pattern(@"\S+")], FromBytes = false });
    }

    private static WordRulesSplitter Rules(WordRules rules) => new(rules);

    private static PatternSplitter Pattern(string pattern) => new(pattern, asciiDigits: true);
}
