using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Kvasir.Cli.Benchmarks;
using Kvasir.Cli.Rendering;
using Kvasir.Engine.KvCache;
using Kvasir.Simulation.Traces;
using Spectre.Console;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir bench eviction</c>: which blocks to forget, decided on what people asked.</summary>
internal static class BenchEvictionCommand
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };
    private static readonly EvictionKind[] Policies = [EvictionKind.Lru, EvictionKind.SegmentedLru, EvictionKind.Arc];

    /// <summary>Describes the command.</summary>
    public static KvasirCommand Create()
    {
        var file = new Argument<string>("trace") { Description = "Requests: Mooncake's JSON lines with hash_ids." };
        var shares = new Option<string>("--shares") { Description = "Sizes of the cache, in percent of the trace's different blocks.", DefaultValueFactory = _ => "0.5,1,2,5,10,20,50" };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new KvasirCommand("eviction",
            "Replay a trace through the KV block pool under each eviction policy: the share of prompt blocks found in caches of several sizes.",
            "kvasir bench eviction conversation_trace.jsonl",
            "kvasir bench eviction conversation_trace.jsonl --shares 1,10 --json")
        {
            file, shares, json,
        };
        command.SetAction(parse => Run(parse.GetRequiredValue(file), Percentages(parse.GetRequiredValue(shares)), parse.GetValue(json)));
        return command;
    }

    private static int Run(string path, double[] shares, bool json)
    {
        Trace trace;
        try
        {
            trace = TraceReader.Read(path);
        }
        catch (TraceException error)
        {
            throw new CommandException(error.Message);
        }
        var distinct = EvictionReplay.DistinctBlocks(trace);
        if (distinct == 0) throw new CommandException($"No prompt of '{path}' fills a block of {trace.BlockTokens} tokens, so there is nothing to keep.");
        var most = EvictionReplay.MostHitRate(trace);
        var rows = shares.Select(share => (Share: share, Blocks: Math.Max(1, (int)Math.Round(distinct * share / 100))))
            .Select(size => (size.Share, size.Blocks, Rates: Policies.Select(policy => EvictionReplay.HitRate(trace, policy, size.Blocks)).ToArray())).ToList();
        if (json)
        {
            Console.Out.WriteLine(new JsonObject
            {
                ["trace"] = trace.Name,
                ["requests"] = trace.Requests.Length,
                ["block_tokens"] = trace.BlockTokens,
                ["distinct_blocks"] = distinct,
                ["infinite_hit_rate"] = most,
                ["sizes"] = new JsonArray([.. rows.Select(row => new JsonObject
                {
                    ["percent"] = row.Share,
                    ["blocks"] = row.Blocks,
                    ["hit_rate"] = new JsonObject(Policies.Select((policy, i) => KeyValuePair.Create<string, JsonNode?>(Name(policy), row.Rates[i]))),
                })]),
            }.ToJsonString(Indented));
            return 0;
        }
        var console = Terminal.Out;
        console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{trace.Name}: {trace.Requests.Length} requests, {distinct} different blocks of {trace.BlockTokens} tokens; a cache without end would find {most:0.0 %} of the blocks asked for."));
        var table = Terminal.Table(["blocks", "of all", .. Policies.Select(Name)]);
        foreach (var (share, blocks, rates) in rows)
            table.Row([blocks.ToString(CultureInfo.InvariantCulture), string.Create(CultureInfo.InvariantCulture, $"{share} %"), .. rates.Select(rate => rate.ToString("0.0 %", CultureInfo.InvariantCulture))]);
        console.Write(table);
        return 0;
    }

    private static string Name(EvictionKind policy) => policy switch
    {
        EvictionKind.Lru => "lru",
        EvictionKind.SegmentedLru => "slru",
        _ => "arc",
    };

    private static double[] Percentages(string text) => [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(part =>
        double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value is > 0 and <= 100
            ? value
            : throw new UsageException($"--shares has '{part}', but each must be a percentage above 0 and at most 100, such as 0.5,1,10."))];
}
