using System.CommandLine;
using System.Runtime.InteropServices;
using Kvasir.Checkpoints;
using Kvasir.Engine;
using Kvasir.Server;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir serve</c>: an OpenAI-compatible endpoint over one model, until it is told to stop.</summary>
public static class ServeCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var model = ModelArgument.Required();
        var host = new Option<string>("--host") { Description = "Address to listen on.", DefaultValueFactory = _ => "127.0.0.1" };
        var port = new Option<int>("--port") { Description = "Port to listen on.", DefaultValueFactory = _ => 8080 };
        var keys = new Option<string[]>("--api-key") { Description = "A key that clients must send; repeatable." };
        var names = new Option<string[]>("--served-model-name") { Description = "A name that clients may use for the model; repeatable." };
        var sequences = new Option<int>("--max-seqs") { Description = "Requests that run at once.", DefaultValueFactory = _ => 16 };
        var queue = new Option<int>("--max-queue") { Description = "Requests that may wait; more get 429.", DefaultValueFactory = _ => 256 };
        var drain = new Option<int>("--drain-seconds") { Description = "How long running requests may go on after SIGTERM.", DefaultValueFactory = _ => 30 };
        var flags = new EngineFlags();
        var command = new KvasirCommand("serve", "Serve a model over OpenAI's protocol.",
            "kvasir serve model.gguf",
            "kvasir serve model.gguf --port 9000 --memory 8GiB --api-key secret")
        {
            model, host, port, keys, names, sequences, queue, drain,
        };
        flags.AddTo(command);
        command.SetAction((parse, cancel) =>
        {
            if (parse.GetValue(port) is < 0 or > 65535) throw new UsageException($"--port {parse.GetValue(port)} is not a port from 0 to 65535.");
            if (parse.GetValue(drain) < 0) throw new UsageException($"--drain-seconds is {parse.GetValue(drain)}, but cannot be negative.");
            var server = new ServerOptions
            {
                Host = parse.GetRequiredValue(host),
                Port = parse.GetValue(port),
                ApiKeys = [.. parse.GetValue(keys) ?? []],
                ServedModelNames = [.. parse.GetValue(names) ?? []],
                DrainTime = TimeSpan.FromSeconds(parse.GetValue(drain)),
            };
            var engine = flags.Read(parse) with { MaxSequences = parse.GetValue(sequences), MaxQueue = parse.GetValue(queue) };
            if (engine.Problem() is { } problem) throw new UsageException(problem);
            return RunAsync(LocalModel.Resolve(parse.GetRequiredValue(model)), server, engine, cancel);
        });
        return command;
    }

    private static async Task<int> RunAsync(string model, ServerOptions options, EngineOptions engineOptions, CancellationToken cancel)
    {
        var stop = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.TrySetResult();
        }
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        await using var server = await KvasirServer.StartAsync(options, cancel: cancel);
        await using var engine = await KvasirEngine.LoadAsync(model, new KvasirOptions { Engine = engineOptions }, cancel: cancel);
        server.Attach(engine);
        Banner(engine, server.Address);
        await stop.Task;
        await Console.Error.WriteLineAsync("Draining …");
        return await server.DrainAsync() ? 0 : Failures.Failed;
    }

    private static void Banner(KvasirEngine engine, Uri address)
    {
        Console.Error.WriteLine($"{engine.Name}, context {engine.Engine.ContextTokens} tokens, {engine.Engine.Plan.KvBlocks * 16} in the KV cache");
        foreach (var line in engine.Engine.Plan.Lines) Console.Error.WriteLine($"  {line.Name,-12} {new ByteSize(line.Bytes),12}");
        Console.Error.WriteLine($"Listening on {address}");
        Console.Error.WriteLine($"  curl {address}v1/chat/completions -H 'Content-Type: application/json' -d '{{\"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'");
    }
}
