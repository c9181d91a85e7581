using System.CommandLine;
using Kvasir.Cli.Load;
using Kvasir.Cli.Rendering;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir bench serve</c>: the same loads against any OpenAI-compatible servers.</summary>
public static class BenchServeCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var servers = new Argument<string[]>("URL") { Description = "Server to measure: http://host:port or name=http://host:port; several are measured in turn, load by load.", Arity = ArgumentArity.OneOrMore };
        var pids = new Option<int[]>("--pid") { Description = "The servers' processes on this machine, in the order of the URLs: their resident memory is watched.", DefaultValueFactory = _ => [], AllowMultipleArgumentsPerToken = true };
        var plots = new Option<string?>("--plot") { Description = "Folder to write plots to, as SVG and PNG.", HelpName = "FOLDER" };
        var json = new Option<bool>("--json") { Description = "Print JSON, with every request and the memory over time." };
        var flags = new LoadFlags();
        var command = new KvasirCommand("serve", "Put loads on OpenAI-compatible servers: time to first token, time per token, throughput, cache hits, memory. Exit code 1 when no request was answered.",
            "kvasir bench serve http://127.0.0.1:8080",
            "kvasir bench serve ours=http://127.0.0.1:8080 llama.cpp=http://127.0.0.1:8081 --load shared-cold,shared-warm,conversations --plot plots",
            "kvasir bench serve http://127.0.0.1:8080 --load random --requests 64 --rate 2 --prompt-tokens 512 --output-tokens 64",
            "kvasir bench serve http://127.0.0.1:8080 --load trace --trace conversation_trace.jsonl --trace-tokens 0.1")
        {
            servers, pids, plots, json,
        };
        flags.AddTo(command);
        command.SetAction(async (parse, cancel) =>
        {
            var processes = parse.GetValue(pids) ?? [];
            var urls = parse.GetRequiredValue(servers);
            if (processes.Length > urls.Length) throw new UsageException($"--pid names {processes.Length} processes, but there are {urls.Length} servers.");
            var addresses = urls.Select((url, index) => ServerAddress.Parse(url, index < processes.Length ? processes[index] : null)).ToList();
            if (addresses.GroupBy(address => address.Label).FirstOrDefault(group => group.Count() > 1) is { } twice) throw new UsageException($"Two servers are called '{twice.Key}'; name them: name=http://host:port.");
            using var bench = await ServingBench.ConnectAsync(addresses, flags.Form(parse), flags.Shape(parse), TimeProvider.System, cancel);
            var results = await bench.RunAsync(flags.Loads(parse), Console.Error, cancel);
            if (parse.GetValue(json))
            {
                using var output = Output.Open();
                LoadJson.Write(output, bench.Servers, bench.Shape, results);
            }
            else
            {
                LoadText.Write(Terminal.Out, results);
            }
            if (parse.GetValue(plots) is { } folder) await Console.Error.WriteLineAsync($"{LoadPlots.Write(folder, results).Count} files in {folder}.");
            return results.Any(result => result.Answered.Count > 0) ? 0 : Failures.Failed;
        });
        return command;
    }
}
