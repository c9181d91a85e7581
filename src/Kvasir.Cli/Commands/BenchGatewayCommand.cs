using System.CommandLine;
using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Cli.Benchmarks.Fleet;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir bench gateway</c>: what routing gains and what the gateway costs.</summary>
public static class BenchGatewayCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var overhead = new Option<bool>("--overhead") { Description = "Measure what proxying adds to short requests at a fixed rate, against a mock worker." };
        var rate = new Option<double>("--rate") { Description = "Requests per second of --overhead.", DefaultValueFactory = _ => 1000 };
        var requests = new Option<int>("--requests") { Description = "Requests of --overhead, each way.", DefaultValueFactory = _ => 15_000 };
        var streams = new Option<int?>("--streams") { Description = "Open this many streams at once against mock workers." };
        var decisions = new Option<bool>("--decisions") { Description = "Measure decisions for prompts of 128k tokens over 100 workers, and the index." };
        var command = new KvasirCommand("gateway", "Measure the gateway.",
            "kvasir bench gateway --overhead",
            "kvasir bench gateway --streams 10000")
        {
            overhead, rate, requests, streams, decisions,
        };
        command.SetAction(async (parse, cancel) =>
        {
            if (parse.GetValue(streams) is { } count) return Write(await GatewayStreams.RunAsync(count is >= 1 and <= 100_000 ? count : throw new UsageException($"--streams {count} is not between 1 and 100000."), cancel));
            if (parse.GetValue(overhead)) return Write(await GatewayOverhead.RunAsync(parse.GetValue(rate), parse.GetValue(requests), cancel));
            if (parse.GetValue(decisions)) return Write(DecisionBenchmark.Run(seed: 1));
            throw new UsageException("Say what to measure: --overhead, --streams N or --decisions.");
        });
        return command;
    }

    private static int Write(OverheadFigures figures)
    {
        using var output = Output.Open();
        output.WriteLine($"{figures.RequestsPerSecond:#,0} requests/s, {figures.ProxiedSeconds.Length:#,0} through the gateway, {figures.Failed} failed");
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
            $"  p50 {OverheadFigures.At(figures.Seconds, 0.5) * 1000:0.000} ms, p99 {OverheadFigures.At(figures.Seconds, 0.99) * 1000:0.000} ms, {figures.BytesPerDecision:0} bytes of garbage each"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"index: {figures.OperationsPerSecond / 1e6:0.00} M block operations per second on one core; {figures.BytesPerBlock:0.0} bytes per block at {figures.MeasuredBlocks:#,0} blocks, so 100 M blocks need {figures.BytesPerBlock * 0.1:0.0} GB"));
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
