using System.CommandLine;
using Kvasir.Checkpoints;
using Kvasir.Cli.Rendering;
using Kvasir.Engine;
using Kvasir.Server;
using Kvasir.Server.Events;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir serve</c>: an OpenAI-compatible endpoint.</summary>
public static class ServeCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var model = ModelArgument.Optional();
        var flags = new EngineFlags();
        var serving = new ServeFlags();
        var command = new KvasirCommand("serve", "Serve a model to programs that speak OpenAI's API.",
            "kvasir serve",
            "kvasir serve model.gguf --memory 4GiB --context 8192",
            "kvasir serve hf:org/name/file.gguf --host 0.0.0.0 --port 8000 --api-key-file keys.txt",
            "curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' -d '{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'")
        {
            model,
        };
        serving.AddTo(command);
        flags.AddTo(command);
        command.SetAction((parse, cancel) => RunAsync(parse.GetValue(model), serving.Apply(parse, flags.Read(parse)), serving.Read(parse), serving.Events(parse), cancel));
        return command;
    }

    private static async Task<int> RunAsync(string? model, EngineOptions engineOptions, ServerOptions options, KvEventOptions? events, CancellationToken cancel)
    {
        var path = await LocalModel.ResolveAsync(model ?? DemoModel.Path, cancel);
        ManagedHeap.KeepLevel();
        using var stop = new StopSignals();
        // Listening first: a port that is taken is said at once, and a probe sees "loading" instead of nothing.
        await using var server = await KvasirServer.StartAsync(options, cancel: cancel);
        if (events is not null && !engineOptions.PrefixCache) throw new UsageException("--kv-events tells what the prefix cache holds, and --no-prefix-cache leaves it empty; drop one of them.");
        using var publisher = events is null ? null : new KvEventPublisher(events);
        if (publisher is not null) engineOptions = engineOptions with { KvEvents = publisher.Publish };
        await using var engine = await LoadAsync(path, new KvasirOptions { Engine = engineOptions });
        ManagedHeap.Bound(engineOptions.MemoryBytes, engine.Engine.Ledger.UsedBytes);
        server.Attach(engine);
        Console.Out.Write(Banner(server, engine));
        await Console.Out.FlushAsync(cancel);
        await stop.First;
        await Console.Error.WriteLineAsync($"Stopping: {server.State.Inside} running requests may finish within {options.DrainTime.TotalSeconds:0} s (signal again to stop at once).");
        var drained = server.DrainAsync();
        if (await Task.WhenAny(drained, stop.Second) == stop.Second) return Failures.Interrupted;
        if (!await drained) await Console.Error.WriteLineAsync("Some requests did not finish in time and were broken off.");
        return 0;
    }

    private static async Task<KvasirEngine> LoadAsync(string path, KvasirOptions options)
    {
        using var bar = new LoadingBar();
        return await KvasirEngine.LoadAsync(path, options, bar);
    }

    private static string Banner(KvasirServer server, KvasirEngine engine)
    {
        var (spec, plan) = (engine.Checkpoint.Spec, engine.Engine.Plan);
        var lines = new List<string>
        {
            $"{server.State.ModelNames[0]}: {spec.Architecture}, {spec.ParameterCount / 1e6:#,0} M parameters, {engine.Checkpoint.Format}, {new ByteSize(engine.Checkpoint.FileBytes)}",
            "",
            "Memory",
        };
        lines.AddRange(engine.Engine.Ledger.Lines().OrderByDescending(line => line.Bytes).Select(line => $"  {line.Name,-14} {new ByteSize(line.Bytes),12}"));
        lines.Add($"  {"in all",-14} {new ByteSize(engine.Engine.Ledger.UsedBytes),12} of {new ByteSize(engine.Engine.Ledger.BudgetBytes)}");
        lines.Add($"  {plan.KvTokens:#,0} tokens of KV cache, {new ByteSize(plan.KvBytesPerToken)} each; up to {plan.ContextTokens:#,0} tokens in one sequence");
        lines.Add("");
        lines.Add($"Listening on {server.Address.ToString().TrimEnd('/')} (OpenAI's API under /v1; Ctrl-C stops)");
        lines.Add($"  curl {server.Address}v1/chat/completions -H 'Content-Type: application/json' \\");
        lines.Add("    -d '{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"stream\":true}'");
        return string.Join('\n', lines) + "\n";
    }
}
