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
        var models = ModelArgument.Several();
        var flags = new EngineFlags();
        var serving = new ServeFlags();
        var command = new KvasirCommand("serve", "Serve models to programs that speak OpenAI's API.",
            "kvasir serve",
            "kvasir serve model.gguf --memory 4GiB --context 8192",
            "kvasir serve small.gguf large.gguf hf-folder --memory 6GiB",
            "kvasir serve hf:org/name/file.gguf --host 0.0.0.0 --port 8000 --api-key-file keys.txt",
            "curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' -d '{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'")
        {
            models,
        };
        serving.AddTo(command);
        flags.AddTo(command);
        command.SetAction((parse, cancel) => RunAsync(parse.GetValue(models) ?? [], serving.Awake(parse), serving.Apply(parse, flags.Read(parse)), serving.Read(parse), serving.Events(parse), cancel));
        return command;
    }

    private static async Task<int> RunAsync(string[] models, int awake, EngineOptions engineOptions, ServerOptions options, KvEventOptions? events, CancellationToken cancel)
    {
        ManagedHeap.KeepLevel();
        var paths = new List<string>();
        foreach (var model in models.Length > 0 ? models : [DemoModel.Path]) paths.Add(await LocalModel.ResolveAsync(model, cancel));
        if (events is not null && !engineOptions.PrefixCache) throw new UsageException("--kv-events tells what the prefix cache holds, and --no-prefix-cache leaves it empty; drop one of them.");
        if (events is not null && paths.Count > 1)
            throw new UsageException("--kv-events does not say whose blocks come and go, so who listens could not tell several models apart; serve each in a process of its own, or drop it.");
        if (paths.Count == 1 && awake != 1) throw new UsageException($"--awake {awake} says how many of several models are awake, but there is one model.");
        string[] names = options.ServedModelNames is { IsEmpty: false } given ? [.. given] : [.. paths.Select(KvasirEngine.NameOf)];
        if (paths.Count > 1 && ModelSet.Problem(paths, names, awake, new KvasirOptions { Engine = engineOptions }) is { } problem) throw new UsageException(problem);
        using var stop = new StopSignals();
        // Listening first: a port that is taken is said at once, and a probe sees "loading" instead of nothing.
        await using var server = await KvasirServer.StartAsync(options, cancel: cancel);
        using var publisher = events is null ? null : new KvEventPublisher(events);
        if (publisher is not null) engineOptions = engineOptions with { KvEvents = publisher.Publish };
        await using var loaded = paths.Count == 1 ? await LoadAsync(server, paths[0], engineOptions) : await LoadAsync(server, paths, names, awake, engineOptions);
        await Console.Out.FlushAsync(cancel);
        await stop.First;
        await Console.Error.WriteLineAsync($"Stopping: {server.State.Inside} running requests may finish within {options.DrainTime.TotalSeconds:0} s (signal again to stop at once).");
        var drained = server.DrainAsync();
        if (await Task.WhenAny(drained, stop.Second) == stop.Second) return Failures.Interrupted;
        if (!await drained) await Console.Error.WriteLineAsync("Some requests did not finish in time and were broken off.");
        return 0;
    }

    private static async Task<IAsyncDisposable> LoadAsync(KvasirServer server, string path, EngineOptions options)
    {
        KvasirEngine engine;
        using (var bar = new LoadingBar()) engine = await KvasirEngine.LoadAsync(path, new KvasirOptions { Engine = options }, bar);
        ManagedHeap.Bound(options.MemoryBytes, engine.Engine.Ledger.UsedBytes);
        server.Attach(engine);
        Console.Out.Write(Banner(server, engine));
        return engine;
    }

    private static async Task<IAsyncDisposable> LoadAsync(KvasirServer server, List<string> paths, string[] names, int awake, EngineOptions options)
    {
        ModelSet models;
        using (var bar = new LoadingBar()) models = await ModelSet.LoadAsync(paths, names, awake, new KvasirOptions { Engine = options }, bar);
        ManagedHeap.Bound(options.MemoryBytes, models.Ledger.BudgetBytes);
        server.Attach(models);
        Console.Out.Write(Banner(server, models));
        return models;
    }

    private static string Banner(KvasirServer server, ModelSet models)
    {
        var width = models.Engines.Max(engine => engine.Name.Length);
        var lines = new List<string> { models.Awake == models.Engines.Length ? $"{models.Awake} models, all awake" : $"{models.Engines.Length} models, {models.Awake} awake at a time; the others wake when they are asked", "" };
        foreach (var engine in models.Engines)
        {
            var (spec, plan) = (engine.Checkpoint.Spec, engine.Engine.Plan);
            lines.Add($"  {engine.Name.PadRight(width)}  {spec.Architecture}, {spec.ParameterCount / 1e6:#,0} M parameters, {engine.Checkpoint.Format}, {new ByteSize(engine.Checkpoint.FileBytes)}");
            lines.Add($"  {new string(' ', width)}  {new ByteSize(plan.TotalBytes)} awake, {new ByteSize(plan.AsleepBytes)} asleep; {plan.KvTokens:#,0} tokens of KV cache, up to {plan.ContextTokens:#,0} in one sequence");
        }
        lines.AddRange(["", $"Memory: {new ByteSize(models.Ledger.UsedBytes)} now, never more than {new ByteSize(models.Ledger.BudgetBytes)}", ""]);
        lines.AddRange(Listening(server, $"\"model\":\"{models.Engines[^1].Name}\","));
        return string.Join('\n', lines) + "\n";
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
        lines.AddRange(Listening(server, ""));
        return string.Join('\n', lines) + "\n";
    }

    private static IEnumerable<string> Listening(KvasirServer server, string model) =>
    [
        $"Listening on {server.Address.ToString().TrimEnd('/')} (OpenAI's API under /v1; Ctrl-C stops)",
        $"  curl {server.Address}v1/chat/completions -H 'Content-Type: application/json' \\",
        $$"""    -d '{{{model}}"messages":[{"role":"user","content":"Hello"}],"stream":true}'""",
    ];
}
