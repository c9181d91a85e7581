using System.Text.Json;
using System.Text.RegularExpressions;
using Kvasir.Checkpoints.Tokenizers.Patterns;
using Kvasir.Checkpoints.Tokenizers.Splitting;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>Reads the <c>pre_tokenizer</c> of a tokenizer.json.</summary>
internal static class PreTokenizers
{
    private const string AsciiPunctuation = @"!-/:-@\[-`{-~";

    // Published patterns that have a faster form; the forms are tested to be the same.
    private static readonly Dictionary<string, Func<WordSplitter>> Known = new(StringComparer.Ordinal)
    {
        [Gpt2Splitter.Pattern] = () => new Gpt2Splitter(),
        [KnownPatterns.Llama3] = () => new WordRulesSplitter(new WordRules { ContractionsApart = true, FoldsLongS = true, Digits = 3 }),
        [KnownPatterns.Qwen2] = () => new WordRulesSplitter(new WordRules { ContractionsApart = true, FoldsLongS = true }),
        [KnownPatterns.Gpt4o] = () => new WordRulesSplitter(new WordRules { ContractionsAttached = true, FoldsLongS = true, Letters = LetterRule.Cased, Digits = 3, Tail = TailRule.LineEndsAndSlashes }),
        [KnownPatterns.Tekken] = () => new WordRulesSplitter(new WordRules { Letters = LetterRule.Cased, Tail = TailRule.LineEndsAndSlashes }),
    };

    /// <summary>The steps, in order.</summary>
    /// <exception cref="CheckpointException">One is of a kind that is not known.</exception>
    public static List<PreTokenizationStep> Read(JsonElement json)
    {
        var steps = new List<PreTokenizationStep>();
        Read(json, steps);
        return steps;
    }

    /// <summary>The faster form of a published pattern, else the pattern itself.</summary>
    public static WordSplitter Splitter(string pattern) => Known.TryGetValue(pattern, out var make) ? make() : new PatternSplitter(pattern);

    private static void Read(JsonElement json, List<PreTokenizationStep> steps)
    {
        if (json.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined)
            return;
        string type = json.GetProperty("type").GetString() ?? "";
        switch (type)
        {
            case "Sequence":
                foreach (var step in json.GetProperty("pretokenizers").EnumerateArray())
                    Read(step, steps);
                break;
            case "ByteLevel":
                if (json.Flag("add_prefix_space", true))
                    steps.Add(new LeadingSpaceStep());
                if (json.Flag("use_regex", true))
                    steps.Add(new IsolatingStep(new Gpt2Splitter()));
                break;
            case "Split":
                steps.Add(Split(json));
                break;
            case "Metaspace":
                steps.Add(Metaspace(json));
                break;
            case "Digits":
                steps.Add(new IsolatingStep(new PatternSplitter(json.Flag("individual_digits", false) ? @"\p{N}" : @"\p{N}+")));
                break;
            case "Punctuation":
                steps.Add(Delimiter($@"[{AsciiPunctuation}\p{{P}}]", json.Text("behavior") ?? "Isolated", invert: false));
                break;
            case "Whitespace":
                steps.Add(Delimiter(@"\w+|[^\w\s]+", "Removed", invert: true));
                break;
            case "WhitespaceSplit":
                steps.Add(Delimiter(@"\s", "Removed", invert: false));
                break;
            case "BertPreTokenizer":
                steps.Add(Delimiter(@"\s", "Removed", invert: false));
                steps.Add(Delimiter($@"[{AsciiPunctuation}\p{{P}}]", "Isolated", invert: false));
                break;
            case "CharDelimiterSplit":
                steps.Add(Delimiter(Regex.Escape(json.Text("delimiter") ?? " "), "Removed", invert: false));
                break;
            default:
                throw new CheckpointException($"The tokenizer splits text by \"{type}\", which Kvasir does not know; it knows Sequence, ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit, BertPreTokenizer and CharDelimiterSplit.");
        }
    }

    private static PreTokenizationStep Split(JsonElement json)
    {
        var pattern = json.GetProperty("pattern");
        string regex = pattern.Text("String") is { } literal ? Literal(literal) : pattern.GetProperty("Regex").GetString() ?? "";
        string behavior = json.Text("behavior") ?? "Isolated";
        bool invert = json.Flag("invert", false);
        // Removing all but the matches of a pattern that matches everything is isolating them.
        if (behavior == "Isolated" || (behavior == "Removed" && invert && Known.ContainsKey(regex)))
            return new IsolatingStep(Splitter(regex));
        return Delimiter(regex, behavior, invert);
    }

    private static DelimiterStep Delimiter(string regex, string behavior, bool invert) =>
        new(new PatternSplitter(regex), Enum.TryParse<SplitBehavior>(behavior, out var parsed) && !int.TryParse(behavior, out _)
            ? parsed
            : throw new CheckpointException($"The tokenizer splits text with the behavior \"{behavior}\"; Removed, Isolated, MergedWithPrevious, MergedWithNext and Contiguous are known."), invert);

    private static MetaspaceStep Metaspace(JsonElement json)
    {
        string scheme = json.Text("prepend_scheme") ?? (json.Flag("add_prefix_space", true) ? "always" : "never");
        return new MetaspaceStep(json.Text("replacement") ?? SpaceMark.Character.ToString(), scheme, json.Flag("split", true));
    }

    private static string Literal(string text) => string.Concat(text.EnumerateRunes().Select(rune => $@"\u{{{rune.Value:X}}}"));
}

/// <summary>Patterns of published tokenizers.</summary>
internal static class KnownPatterns
{
    public const string Llama3 = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public const string Qwen2 = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public const string Gpt4o = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public const string Tekken = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
}
