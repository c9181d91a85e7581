using System.CommandLine;

namespace Kvasir.Cli.Load;

/// <summary>The flags of <c>kvasir bench serve</c> that say what is asked, and how.</summary>
internal sealed class LoadFlags
{
    private readonly Option<string[]> loads = new("--load")
    {
        Description = $"Loads to run, separated by commas: {string.Join(", ", ServingLoads.Names)}.", HelpName = "NAMES",
        DefaultValueFactory = _ => [$"{ServingLoads.SharedCold},{ServingLoads.SharedWarm},{ServingLoads.Conversations}"],
    };
    private readonly Option<int?> requests = new("--requests") { Description = "Requests of loads without conversations." };
    private readonly Option<int?> prompt = new("--prompt-tokens") { Description = "Tokens of each request's or turn's own text." };
    private readonly Option<int?> output = new("--output-tokens") { Description = "Tokens of each answer." };
    private readonly Option<int?> shared = new("--shared-tokens") { Description = "Tokens that all prompts begin with." };
    private readonly Option<int?> conversations = new("--conversations") { Description = "Conversations." };
    private readonly Option<int?> turns = new("--turns") { Description = "Turns of each conversation." };
    private readonly Option<int?> concurrency = new("--concurrency") { Description = "Requests or conversations at a time; 0 for all." };
    private readonly Option<double?> rate = new("--rate") { Description = "Arrivals per second, exponentially spaced, instead of waiting for room." };
    private readonly Option<bool> interleave = new("--interleave") { Description = "Between two turns a conversation waits until the others had theirs." };
    private readonly Option<int> seed = new("--seed") { Description = "What texts and arrivals come from. A new one is new to the server's cache.", DefaultValueFactory = _ => 1 };
    private readonly Option<string?> trace = new("--trace") { Description = "Trace to replay: JSON lines as Mooncake's, or CSV as Azure's.", HelpName = "FILE" };
    private readonly Option<double> traceTokens = new("--trace-tokens") { Description = "Factor of the trace's token counts.", DefaultValueFactory = _ => 1 };
    private readonly Option<double> traceSpeed = new("--trace-speed") { Description = "Factor of the trace's speed.", DefaultValueFactory = _ => 1 };
    private readonly Option<bool> chat = new("--chat") { Description = "Ask /v1/chat/completions instead of /v1/completions." };
    private readonly Option<string?> model = new("--model") { Description = "Model to ask for; the server's first by default.", HelpName = "NAME" };
    private readonly Option<string?> key = new("--api-key") { Description = "Key that requests carry." };
    private readonly Option<double> temperature = new("--temperature") { Description = "Sampling temperature.", DefaultValueFactory = _ => 0 };
    private readonly Option<bool> eos = new("--allow-eos") { Description = "Let answers end early; otherwise they are asked to ignore the end of text." };
    private readonly Option<double> timeout = new("--timeout-seconds") { Description = "Longest time of one request.", DefaultValueFactory = _ => 900 };

    /// <summary>Adds the flags to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[loads, requests, prompt, output, shared, conversations, turns, concurrency, rate, interleave, seed, trace, traceTokens, traceSpeed, chat, model, key, temperature, eos, timeout])
            command.Options.Add(option);
    }

    /// <summary>The loads to run, in their own order.</summary>
    /// <exception cref="UsageException">One is unknown.</exception>
    public IReadOnlyList<string> Loads(ParseResult parse)
    {
        var named = parse.GetRequiredValue(loads).SelectMany(text => text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).ToHashSet(StringComparer.Ordinal);
        if (named.FirstOrDefault(name => !ServingLoads.Names.Contains(name)) is { } unknown)
            throw new UsageException($"--load '{unknown}' is unknown; there are {string.Join(", ", ServingLoads.Names)}.");
        if (named.Count == 0) throw new UsageException($"--load names none of {string.Join(", ", ServingLoads.Names)}.");
        if (named.Contains(ServingLoads.Trace) && parse.GetValue(trace) is null) throw new UsageException("The load 'trace' needs --trace FILE (JSON lines as Mooncake's, or CSV as Azure's).");
        return [.. ServingLoads.Names.Where(named.Contains)];
    }

    /// <summary>How large the loads are.</summary>
    /// <exception cref="UsageException">A number is out of range.</exception>
    public LoadShape Shape(ParseResult parse) => new()
    {
        Requests = Whole(parse, requests, 1, 1_000_000), PromptTokens = Whole(parse, prompt, 1, 10_000_000), OutputTokens = Whole(parse, output, 1, 1_000_000),
        SharedTokens = Whole(parse, shared, 0, 10_000_000), Conversations = Whole(parse, conversations, 1, 100_000), Turns = Whole(parse, turns, 1, 1000),
        Concurrency = Whole(parse, concurrency, 0, 10_000), Rate = parse.GetValue(rate) is { } value ? Positive("--rate", value) : null, Interleave = parse.GetValue(interleave),
        Seed = parse.GetValue(seed), Trace = parse.GetValue(trace), TraceTokens = Positive("--trace-tokens", parse.GetValue(traceTokens)), TraceSpeed = Positive("--trace-speed", parse.GetValue(traceSpeed)),
    };

    /// <summary>How requests are put.</summary>
    /// <exception cref="UsageException">A number is out of range.</exception>
    public RequestForm Form(ParseResult parse) => new(parse.GetValue(model), parse.GetValue(key), parse.GetValue(chat),
        parse.GetValue(temperature) is >= 0 and <= 2 and var warmth ? warmth : throw new UsageException($"--temperature {parse.GetValue(temperature)} is not between 0 and 2."),
        !parse.GetValue(eos), TimeSpan.FromSeconds(Positive("--timeout-seconds", parse.GetValue(timeout))));

    private static int? Whole(ParseResult parse, Option<int?> option, int least, int most) => parse.GetValue(option) is not { } value ? null
        : value >= least && value <= most ? value : throw new UsageException($"{option.Name} {value} is not between {least} and {most}.");

    private static double Positive(string name, double value) => value is > 0 and <= 1e6 ? value : throw new UsageException($"{name} {value} is not above 0 and at most 1000000.");
}
