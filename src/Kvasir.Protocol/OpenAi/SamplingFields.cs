using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;

namespace Kvasir.Protocol.OpenAi;

/// <summary>
/// What completions and chat completions share: how tokens are chosen and when to stop. Null where the request is silent,
/// so that the model's own defaults can apply. Fields beyond OpenAI's (top_k, min_p, typical_p, repetition_penalty,
/// stop_token_ids, ignore_eos …) carry the names that vLLM gave them.
/// </summary>
public sealed record SamplingFields
{
    /// <summary>Most stop strings in one request.</summary>
    public const int MaxStops = 16;
    /// <summary>Most answers to one prompt.</summary>
    public const int MaxChoices = 128;

    /// <summary>0 … 2; 0 is greedy.</summary>
    public double? Temperature { get; init; }
    /// <summary>Above 0 … 1.</summary>
    public double? TopP { get; init; }
    /// <summary>Tokens to choose from; 0 or −1 for all.</summary>
    public int? TopK { get; init; }
    /// <summary>0 … 1.</summary>
    public double? MinP { get; init; }
    /// <summary>Above 0 … 1.</summary>
    public double? TypicalP { get; init; }
    /// <summary>Above 0 … 10, 1 for none.</summary>
    public double? RepetitionPenalty { get; init; }
    /// <summary>−2 … 2.</summary>
    public double? PresencePenalty { get; init; }
    /// <summary>−2 … 2.</summary>
    public double? FrequencyPenalty { get; init; }
    /// <summary>Token id → −100 … 100.</summary>
    public ImmutableDictionary<int, float> LogitBias { get; init; } = ImmutableDictionary<int, float>.Empty;
    /// <summary>Same seed, same text.</summary>
    public long? Seed { get; init; }
    /// <summary>Texts that end an answer.</summary>
    public ImmutableArray<string> Stop { get; init; } = [];
    /// <summary>Tokens that end an answer.</summary>
    public ImmutableArray<int> StopTokenIds { get; init; } = [];
    /// <summary>Whether the answer shows the stop text that ended it.</summary>
    public bool IncludeStop { get; init; }
    /// <summary>Whether the end-of-text token is an ordinary one.</summary>
    public bool IgnoreEos { get; init; }
    /// <summary>Most tokens of the answer.</summary>
    public int? MaxTokens { get; init; }
    /// <summary>Answers to one prompt.</summary>
    public int N { get; init; } = 1;
    /// <summary>Whether special tokens are left out of the text.</summary>
    public bool SkipSpecialTokens { get; init; } = true;
    /// <summary>Whether to send the answer as it is made.</summary>
    public bool Stream { get; init; }
    /// <summary>Whether a stream ends with the usage.</summary>
    public bool IncludeUsage { get; init; }

    /// <summary>Requests share keys and values with those of the same salt alone; null for the common one.</summary>
    public string? CacheSalt { get; init; }

    /// <summary>Lower numbers run first.</summary>
    public int Priority { get; init; }

    /// <summary>Priorities go from minus this to this.</summary>
    public const int MostPriority = 1000;

    /// <summary>Whether the answer shall explain itself.</summary>
    public bool Explain { get; init; }

    /// <summary>How long its keys and values are wanted; null for no hint.</summary>
    public RetentionFields? Retention { get; init; }

    /// <summary>Reads the shared fields.</summary>
    /// <param name="fields">The body.</param>
    /// <param name="leastTokens">Least <c>max_tokens</c>: 0 where a prompt may be scored alone.</param>
    public static SamplingFields Read(JsonFields fields, int leastTokens = 1)
    {
        var stream = fields.Flag("stream") ?? false;
        var sampling = new SamplingFields
        {
            Temperature = fields.Number("temperature", 0, 2),
            TopP = Positive(fields, "top_p", 1),
            TopK = (int?)fields.Integer("top_k", -1, int.MaxValue),
            MinP = fields.Number("min_p", 0, 1),
            TypicalP = Positive(fields, "typical_p", 1),
            RepetitionPenalty = Positive(fields, "repetition_penalty", 10),
            PresencePenalty = fields.Number("presence_penalty", -2, 2),
            FrequencyPenalty = fields.Number("frequency_penalty", -2, 2),
            LogitBias = ReadBias(fields),
            Seed = fields.Integer("seed", long.MinValue, long.MaxValue),
            Stop = ReadStop(fields),
            StopTokenIds = [.. ReadIds(fields, "stop_token_ids") ?? []],
            IncludeStop = fields.Flag("include_stop_str_in_output") ?? false,
            IgnoreEos = fields.Flag("ignore_eos") ?? false,
            MaxTokens = (int?)(fields.Integer("max_completion_tokens", leastTokens, int.MaxValue) ?? fields.Integer("max_tokens", leastTokens, int.MaxValue)),
            N = (int)(fields.Integer("n", 1, MaxChoices) ?? 1),
            SkipSpecialTokens = fields.Flag("skip_special_tokens") ?? true,
            Stream = stream,
            IncludeUsage = fields.Object("stream_options")?.Flag("include_usage") ?? false,
            CacheSalt = ReadSalt(fields),
            Priority = (int)(fields.Integer("priority", -MostPriority, MostPriority) ?? 0),
            Retention = RetentionFields.Read(fields),
            Explain = fields.Object("kvasir")?.Flag("explain") ?? false,
        };
        RefuseUnsupported(fields);
        if (!stream && fields.Has("stream_options"))
            fields.Fail(FailureKind.InvalidValue, "Invalid 'stream_options': it is only allowed when 'stream' is true.", "stream_options");
        return sampling;
    }

    // Fields of other servers that change the text: to ignore them would be to answer another question.
    private static readonly string[] Unsupported =
    [
        "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "grammar", "json_schema", "use_beam_search",
        "length_penalty", "min_tokens", "bad_words", "allowed_token_ids", "truncate_prompt_tokens", "prompt_logprobs", "prompt_embeds",
        "mirostat", "dry_multiplier", "xtc_probability", "dynatemp_range",
    ];

    private static void RefuseUnsupported(JsonFields fields)
    {
        if (fields.Object("response_format") is { } format && format.RequiredText("type") is not ("text" or ""))
            fields.Fail(FailureKind.Unsupported,
                "Unsupported parameter: 'response_format' can only be 'text'; answers are not constrained to JSON.", "response_format");
        foreach (var name in Unsupported)
            if (fields.Raw(name) is { } value && !IsNeutral(value))
                fields.Fail(FailureKind.Unsupported, $"Unsupported parameter: '{name}'.", name);
    }

    internal static string? ReadSalt(JsonFields fields)
    {
        if (fields.Text("cache_salt") is not { } salt || salt.Length is > 0 and <= 1024) return fields.Text("cache_salt");
        fields.Fail(FailureKind.InvalidValue, $"Invalid 'cache_salt': {salt.Length} characters are not between 1 and 1024.", "cache_salt");
        return null;
    }

    /// <summary>Whether a value asks for nothing: false, 0, "", [] or {}.</summary>
    internal static bool IsNeutral(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.False => true,
        JsonValueKind.Number => value.TryGetDouble(out var number) && number == 0,
        JsonValueKind.String => value.ValueEquals(""u8),
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => !value.EnumerateObject().Any(),
        _ => false,
    };

    /// <summary>An array of token ids, or null where the field is absent.</summary>
    public static List<int>? ReadIds(JsonFields fields, string name)
    {
        if (fields.Elements(name) is not { } elements) return null;
        var ids = new List<int>(elements.Count);
        foreach (var (value, path) in elements)
            if (fields.IntegerOf(value, path, 0, int.MaxValue) is { } id) ids.Add((int)id);
        return ids;
    }

    private static double? Positive(JsonFields fields, string name, double maximum)
    {
        if (fields.Number(name, 0, maximum) is not { } value) return null;
        if (value > 0) return value;
        fields.Fail(FailureKind.InvalidValue, $"Invalid '{name}': 0 is not above 0 and at most {maximum.ToString(CultureInfo.InvariantCulture)}.", name);
        return null;
    }

    private static ImmutableArray<string> ReadStop(JsonFields fields)
    {
        if (fields.Raw("stop") is not { } stop) return [];
        if (stop.ValueKind == JsonValueKind.String) return NonEmpty(fields, [(stop, "stop")]);
        if (stop.ValueKind != JsonValueKind.Array)
        {
            fields.WrongType<int>("stop", "a string or an array of strings", stop);
            return [];
        }
        var elements = fields.Elements("stop")!;
        if (elements.Count <= MaxStops) return NonEmpty(fields, elements);
        fields.Fail(FailureKind.InvalidValue, $"Invalid 'stop': {elements.Count} strings are more than the {MaxStops} allowed.", "stop");
        return [];
    }

    private static ImmutableArray<string> NonEmpty(JsonFields fields, IReadOnlyList<(JsonElement Value, string Path)> elements)
    {
        var stops = ImmutableArray.CreateBuilder<string>();
        foreach (var (value, path) in elements)
        {
            if (fields.TextOf(value, path) is not { } text) continue;
            if (text.Length is > 0 and <= 1024) stops.Add(text);
            else fields.Fail(FailureKind.InvalidValue, $"Invalid '{path}': {text.Length} characters are not between 1 and 1024.", path);
        }
        return stops.ToImmutable();
    }

    private static ImmutableDictionary<int, float> ReadBias(JsonFields fields)
    {
        if (fields.Object("logit_bias") is not { } bias) return ImmutableDictionary<int, float>.Empty;
        var map = ImmutableDictionary.CreateBuilder<int, float>();
        foreach (var (name, value, path) in bias.Members())
        {
            if (!int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var id))
                fields.Fail(FailureKind.InvalidValue, $"Invalid '{path}': '{name}' is not a token id.", path);
            else if (value.ValueKind != JsonValueKind.Number)
                fields.WrongType<int>(path, "a number", value);
            else if (!value.TryGetDouble(out var number) || number is not (>= -100 and <= 100))
                fields.Fail(FailureKind.InvalidValue, $"Invalid '{path}': the bias is not between -100 and 100.", path);
            else
                map[id] = (float)number;
        }
        return map.ToImmutable();
    }
}
