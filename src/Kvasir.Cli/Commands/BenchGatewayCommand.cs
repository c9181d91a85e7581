using System.CommandLine;
using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Cli.Benchmarks.Fleet;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir bench gateway</c>: what routing gains and what the gateway costs.</summary>
public static class BenchGatewayCommand
{
    private const int Seed = 1, UnsharedFactor = 4;
    private const string BenchModel = "bench";

    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var overhead = new Option<bool>("--overhead") { Description = "Measure what proxying adds to short requests at a fixed rate, against a mock worker." };
        var rate = new Option<double>("--rate") { Description = "Requests per second of --overhead.", DefaultValueFactory = _ => 1000 };
        var requests = new Option<int>("--requests") { Description = "Requests of --overhead, each way.", DefaultValueFactory = _ => 15_000 };
        var streams = new Option<int?>("--streams") { Description = "Open this many streams at once against mock workers." };
        var decisions = new Option<bool>("--decisions") { Description = "Measure decisions for prompts of 128k tokens over 100 workers, and the index." };
        var model = new Option<string?>("--model") { Description = "Checkpoint that the workers serve; without it, a small random model with a long context (models/bench)." };
        var workers = new Option<int>("--workers") { Description = "Real workers to start on this machine.", DefaultValueFactory = _ => 4 };
        var contexts = new Option<int>("--contexts") { Description = "Long texts that prompts share.", DefaultValueFactory = _ => 8 };
        var held = new Option<int>("--held-contexts") { Description = "Of those, how many one worker's cache holds.", DefaultValueFactory = _ => 3 };
        var tokens = new Option<int>("--context-tokens") { Description = "Tokens of each.", DefaultValueFactory = _ => 20_480 };
        var fleetRequests = new Option<int>("--fleet-requests") { Description = "Requests of the load that shares contexts, four times as many of the one that shares nothing: they are short.", DefaultValueFactory = _ => 384 };
        var clients = new Option<int>("--clients") { Description = "Clients that ask one request after another.", DefaultValueFactory = _ => 8 };
        var rounds = new Option<int>("--rounds") { Description = "Times that each policy gets each load, in turns; the median round is printed.", DefaultValueFactory = _ => 1 };
        var unshared = new Option<bool>("--unshared") { Description = "Only the load that shares nothing, against least-requests." };
        var command = new KvasirCommand("gateway", "Measure the gateway: real workers under round-robin and under the default, or one of its parts.",
            "kvasir bench gateway",
            "kvasir bench gateway --unshared --rounds 3",
            "kvasir bench gateway --overhead",
            "kvasir bench gateway --streams 10000")
        {
            overhead, rate, requests, streams, decisions, model, workers, contexts, held, tokens, fleetRequests, clients, rounds, unshared,
        };
        command.SetAction(async (parse, cancel) =>
        {
            if (parse.GetValue(streams) is { } count) return Write(await GatewayStreams.RunAsync(count is >= 1 and <= 100_000 ? count : throw new UsageException($"--streams {count} is not between 1 and 100000."), cancel));
            if (parse.GetValue(overhead)) return Write(await GatewayOverhead.RunAsync(parse.GetValue(rate), parse.GetValue(requests), cancel));
            if (parse.GetValue(decisions)) return Write(DecisionBenchmark.Run(seed: 1));
            var fleet = new FleetBenchmark(parse.GetValue(model) ?? BundledModel.Find(BenchModel) ?? throw new UsageException($"No model was named, and models/{BenchModel} was not found above {AppContext.BaseDirectory}. Name one with --model."), Whole(parse, workers, 1, 64), Whole(parse, held, 1, 256));
            if (!parse.GetValue(unshared))
                await WriteAsync("prompts that share long contexts", fleet, new FleetLoad(Whole(parse, contexts, 1, 10_000), Whole(parse, tokens, 16, 1 << 20), Whole(parse, fleetRequests, 1, 1_000_000), 16, Whole(parse, clients, 1, 1000)),
                    ["round-robin", "kvasir"], Whole(parse, rounds, 1, 99), cancel);
            return await WriteAsync("prompts that share nothing", fleet, new FleetLoad(0, 1024, UnsharedFactor * Whole(parse, fleetRequests, 1, 1_000_000), 16, Whole(parse, clients, 1, 1000)),
                ["least-requests", "kvasir"], Whole(parse, rounds, 1, 99), cancel);
        });
        return command;
    }

    private static async Task<int> WriteAsync(string what, FleetBenchmark fleet, FleetLoad load, IReadOnlyList<string> policies, int rounds, CancellationToken cancel)
    {
        var figures = await fleet.RunAsync(load, policies, rounds, Seed, cancel);
        using var output = Output.Open();
        output.WriteLine($"{fleet.Workers} workers, {what}: {load.Requests} requests of {load.Clients} clients, {(load.Contexts > 0 ? $"{load.Contexts} contexts" : "prompts")} of {load.PromptTokens:#,0} tokens, answers of {load.OutputTokens}");
        output.WriteLine($"{"policy",-16} {"seconds",9} {"in tok/s",10} {"out tok/s",10} {"TTFT p50",10} {"p99",10} {"hit rate",9} {"failed",7}");
        foreach (var row in figures)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{row.Policy,-16} {row.Seconds,9:0.0} {row.InputTokensPerSecond,10:#,0} {row.OutputTokensPerSecond,10:0.0} {FirstToken(row, 0.5),10} {FirstToken(row, 0.99),10} {row.HitRate,9:P1} {row.Failed,7}"));
        var (before, after) = (figures[0], figures[^1]);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{after.Policy} over {before.Policy}: input ×{after.InputTokensPerSecond / before.InputTokensPerSecond:0.000}, output ×{after.OutputTokensPerSecond / before.OutputTokensPerSecond:0.000}, TTFT p50 {Ratio(after, before)}"));
        output.WriteLine();
        return figures.All(row => row.Failed == 0) ? 0 : Failures.Failed;
    }

    // Tokens without text are not seen to come: of a model that writes nothing else there is no time to tell.
    private static string FirstToken(FleetFigures figures, double share) => figures.FirstTokenSeconds.IsEmpty ? "-"
        : string.Create(CultureInfo.InvariantCulture, $"{OverheadFigures.At(figures.FirstTokenSeconds, share):0.000} s");

    private static string Ratio(FleetFigures after, FleetFigures before) => after.FirstTokenSeconds.IsEmpty || before.FirstTokenSeconds.IsEmpty ? "-"
        : string.Create(CultureInfo.InvariantCulture, $"×{OverheadFigures.At(after.FirstTokenSeconds, 0.5) / OverheadFigures.At(before.FirstTokenSeconds, 0.5):0.000}");

    private static int Whole(ParseResult parse, Option<int> option, int least, int most) => parse.GetValue(option) is var value && value >= least && value <= most ? value
        : throw new UsageException($"{option.Name} {value} is not between {least} and {most}.");

    private static int Write(OverheadFigures figures)
    {
        using var output = Output.Open();
        output.WriteLine($"{figures.RequestsPerSecond:#,0} requests/s, {figures.ProxiedSeconds.Length:#,0} through the gateway, {figures.Failed} failed, {figures.ProcessorSeconds * 1e6:0} µs of the gateway's processor time each");
        foreach (var share in (double[])[0.5, 0.9, 0.99])
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"p{share * 100:0}  direct {OverheadFigures.At(figures.DirectSeconds, share) * 1000,7:0.000} ms  proxied {OverheadFigures.At(figures.ProxiedSeconds, share) * 1000,7:0.000} ms  added {figures.Added(share) * 1000,7:0.000} ms"));
        return figures.Failed == 0 ? 0 : Failures.Failed;
    }

    private static int Write(DecisionFigures figures)
    {
        using var output = Output.Open();
        output.WriteLine($"decisions over {figures.Workers} workers, {figures.PromptTokens:#,0} tokens, {figures.IndexBlocks:#,0} blocks in the index");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  p50 {OverheadFigures.At(figures.Seconds, 0.5) * 1000:0.000} ms, p99 {OverheadFigures.At(figures.Seconds, 0.99) * 1000:0.000} ms, {figures.ProcessorSeconds * 1000:0.000} ms of processor time on average, {figures.BytesPerDecision:0} bytes of garbage each"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"index: {figures.OperationsPerSecond / 1e6:0.00} M block operations per second of one processor; {figures.BytesPerBlock:0.0} bytes per block at {figures.MeasuredBlocks:#,0} blocks, so 100 M blocks need {figures.BytesPerBlock * 0.1:0.0} GB"));
        return 0;
    }

    private static int Write(StreamFigures figures)
    {
        using var output = Output.Open();
        output.WriteLine($"{figures.Streams:#,0} streams, {figures.Together:#,0} open at once, {figures.Whole:#,0} whole, {figures.Streams - figures.Whole} lost, {figures.Seconds:0} s");
        output.WriteLine($"gateway: {new ByteSize(figures.IdleBytes)} before, {new ByteSize(figures.PeakBytes)} at most, {new ByteSize(figures.AfterBytes)} after");
        return figures.Whole == figures.Streams ? 0 : Failures.Failed;
    }
}
