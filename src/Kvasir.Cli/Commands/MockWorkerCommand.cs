using System.CommandLine;
using Kvasir.Simulation.Mock;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir mock-worker</c>: a worker that speaks an engine's HTTP, metrics and cache events, with latencies and faults to order.</summary>
public static class MockWorkerCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var engine = new Option<string>("--engine") { Description = "Whose HTTP, metrics and events: vllm or sglang.", DefaultValueFactory = _ => "vllm" };
        engine.AcceptOnlyFromAmong("vllm", "sglang");
        var port = new Option<int>("--port") { Description = "TCP port; 0 takes a free one.", DefaultValueFactory = _ => 8000 };
        var events = new Option<int?>("--event-port") { Description = "Port of cache events over ZeroMQ; without it none are published." };
        var replay = new Option<int?>("--replay-port") { Description = "Port where events that were published may be asked for again; without it nowhere." };
        var kept = new Option<int>("--replay-messages") { Description = "Event messages that are kept to be asked for.", DefaultValueFactory = _ => new MockWorkerOptions().ReplayMessages };
        var model = new Option<string>("--model") { Description = "The model's name.", DefaultValueFactory = _ => new MockWorkerOptions().Model };
        var rate = new Option<double>("--prefill-rate") { Description = "Prompt tokens per second.", DefaultValueFactory = _ => new MockWorkerOptions().PrefillTokensPerSecond };
        var token = new Option<double>("--token-ms") { Description = "Milliseconds between two tokens.", DefaultValueFactory = _ => new MockWorkerOptions().TokenTime.TotalMilliseconds };
        var capacity = new Option<int>("--capacity") { Description = "Tokens of the KV cache.", DefaultValueFactory = _ => new MockWorkerOptions().CapacityTokens };
        var block = new Option<int>("--block-size") { Description = "Tokens per block.", DefaultValueFactory = _ => new MockWorkerOptions().BlockSize };
        var errors = new Option<double>("--errors") { Description = "Share of requests answered 500." };
        var hangs = new Option<double>("--hangs") { Description = "Share of requests that are never answered." };
        var breaks = new Option<double>("--breaks") { Description = "Share of streams that break off after a token." };
        var stalls = new Option<double>("--stalls") { Description = "Share of streams that say nothing more after a token." };
        var losses = new Option<double>("--event-losses") { Description = "Share of event messages that are lost." };
        var duplicates = new Option<double>("--event-duplicates") { Description = "Share of event messages that are sent twice." };
        var reorders = new Option<double>("--event-reorders") { Description = "Share of event messages that come after the next one." };
        var garbles = new Option<double>("--event-garbles") { Description = "Share of event messages in a form that nobody knows." };
        var told = new Option<int?>("--event-block-size") { Description = "Tokens per block that events tell of, where it is not the true number." };
        var salt = new Option<bool>("--hides-salt") { Description = "Cache every request under a salt that events do not tell of." };
        var template = new Option<bool>("--hides-template") { Description = "Compute tokens before every prompt that /tokenize leaves out." };
        var seed = new Option<int>("--seed") { Description = "Seed of the faults.", DefaultValueFactory = _ => new MockWorkerOptions().Seed };
        var delay = new Option<double>("--event-delay-seconds") { Description = "How late event messages are sent." };
        var command = new KvasirCommand("mock-worker", "Pretend to be a worker: an engine's HTTP, metrics and cache events, with latencies and faults to order.",
            "kvasir mock-worker --engine vllm --port 8000 --event-port 5557 --replay-port 5558",
            "kvasir mock-worker --engine sglang --port 8001 --errors 0.1 --breaks 0.05")
        {
            engine, port, events, replay, kept, model, rate, token, capacity, block, errors, hangs, breaks, stalls, losses, duplicates, reorders, garbles, delay, told, salt, template, seed,
        };
        command.SetAction((parse, _) => RunAsync(new MockWorkerOptions
        {
            SgLang = parse.GetValue(engine) == "sglang",
            Port = Port("--port", parse.GetValue(port)),
            EventPort = parse.GetValue(events) is { } number ? Port("--event-port", number) : null,
            ReplayPort = parse.GetValue(replay) is { } again ? Port("--replay-port", again) : null,
            ReplayMessages = (int)Positive("--replay-messages", parse.GetValue(kept)),
            Model = parse.GetRequiredValue(model),
            PrefillTokensPerSecond = Positive("--prefill-rate", parse.GetValue(rate)),
            TokenTime = TimeSpan.FromMilliseconds(parse.GetValue(token) is >= 0 and <= 60_000 and var time ? time : throw new UsageException($"--token-ms {parse.GetValue(token)} is not between 0 and 60000.")),
            CapacityTokens = (int)Positive("--capacity", parse.GetValue(capacity)),
            BlockSize = (int)Positive("--block-size", parse.GetValue(block)),
            ErrorShare = Share("--errors", parse.GetValue(errors)),
            HangShare = Share("--hangs", parse.GetValue(hangs)),
            BreakShare = Share("--breaks", parse.GetValue(breaks)),
            StallShare = Share("--stalls", parse.GetValue(stalls)),
            EventLossShare = Share("--event-losses", parse.GetValue(losses)),
            EventDuplicateShare = Share("--event-duplicates", parse.GetValue(duplicates)),
            EventReorderShare = Share("--event-reorders", parse.GetValue(reorders)),
            EventGarbleShare = Share("--event-garbles", parse.GetValue(garbles)),
            EventBlockSize = parse.GetValue(told) is { } size ? (int)Positive("--event-block-size", size) : null,
            HidesSalt = parse.GetValue(salt),
            HidesTemplate = parse.GetValue(template),
            Seed = parse.GetValue(seed),
            EventDelay = TimeSpan.FromSeconds(parse.GetValue(delay) is >= 0 and <= 86_400 and var late ? late : throw new UsageException($"--event-delay-seconds {parse.GetValue(delay)} is not between 0 and 86400.")),
        }));
        return command;
    }

    private static async Task<int> RunAsync(MockWorkerOptions options)
    {
        using var stop = new StopSignals();
        await using var worker = await MockWorker.StartAsync(options);
        Console.Out.WriteLine($"Listening on {worker.Address.ToString().TrimEnd('/')} (pretends to be {(options.SgLang ? "SGLang" : "vLLM")}; Ctrl-C stops)");
        await Console.Out.FlushAsync();
        await stop.First;
        return 0;
    }

    private static int Port(string name, int value) => value is >= 0 and <= 65535 ? value : throw new UsageException($"{name} {value} is not between 0 and 65535.");

    private static double Positive(string name, double value) => value > 0 && double.IsFinite(value) ? value : throw new UsageException($"{name} {value} is not a number above 0.");

    private static double Share(string name, double value) => value is >= 0 and <= 1 ? value : throw new UsageException($"{name} {value} is not a share between 0 and 1.");
}
