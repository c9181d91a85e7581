using System.Collections.Immutable;
using System.CommandLine;
using Kvasir.Gateway;
using Kvasir.Gateway.Configuration;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Policies;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir gateway</c>: one address in front of many workers.</summary>
public static class GatewayCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var config = new Option<FileInfo?>("--config") { Description = "YAML file with workers, discovery, tenants and limits; changes take effect while running. See docs/reference/gateway.md.", HelpName = "F" };
        var workers = new Option<string[]>("--worker") { Description = "Worker: http://host:port, or with its engine vllm=http://host:port; may be repeated.", DefaultValueFactory = _ => [] };
        var policy = new Option<string>("--policy") { Description = $"How to choose a worker: {string.Join(", ", PolicyCatalog.Names)}.", DefaultValueFactory = _ => PolicyCatalog.Default };
        var shadows = new Option<string[]>("--shadow") { Description = "Policy that is asked on every request but does not act; may be repeated.", DefaultValueFactory = _ => [] };
        var host = new Option<string>("--host") { Description = "Address to listen on; 0.0.0.0 for every one of this machine.", DefaultValueFactory = _ => "127.0.0.1" };
        var port = new Option<int>("--port") { Description = "TCP port; 0 takes a free one.", DefaultValueFactory = _ => 8080 };
        var http2 = new Option<int?>("--http2-port") { Description = "A further port for HTTP/2 without TLS; 0 takes a free one." };
        var attempts = new Option<int>("--max-attempts") { Description = "Workers that one request may be sent to before its first token.", DefaultValueFactory = _ => new GatewayOptions().MaxAttempts };
        var command = new KvasirCommand("gateway", "Send each request to the worker that already holds its memory.",
            "kvasir gateway --config gateway.yaml",
            "kvasir gateway --worker http://10.0.0.1:8080 --worker vllm=http://10.0.0.2:8000",
            "kvasir gateway --worker http://10.0.0.1:8080 --worker http://10.0.0.2:8080 --policy least-requests --shadow kvasir")
        {
            config, workers, policy, shadows, host, port, http2, attempts,
        };
        command.SetAction((parse, cancel) =>
        {
            var addresses = parse.GetValue(workers)!.Select(Parsed).ToImmutableArray();
            var number = parse.GetValue(port) is >= 0 and <= 65535 and var given ? given : throw new UsageException($"--port {parse.GetValue(port)} is not between 0 and 65535.");
            if (parse.GetValue(config) is { } file)
            {
                if (!addresses.IsEmpty) throw new UsageException("--config and --worker exclude each other: write the workers into the file.");
                var (text, read) = Read(file);
                if (parse.GetResult(host) is { Implicit: false }) read = read with { Host = parse.GetRequiredValue(host) };
                if (parse.GetResult(port) is { Implicit: false }) read = read with { Port = number };
                return RunAsync(read, (file.FullName, text), cancel);
            }
            if (addresses.IsEmpty) throw new UsageException("There is no worker; name at least one with --worker http://host:port, or a file with --config.");
            var options = new GatewayOptions
            {
                Host = parse.GetRequiredValue(host),
                Port = number,
                Http2Port = parse.GetValue(http2),
                Workers = addresses,
                Policy = Known(parse.GetRequiredValue(policy)),
                Shadows = [.. parse.GetValue(shadows)!.Select(Known)],
                MaxAttempts = parse.GetValue(attempts) is >= 1 and <= 16 and var most ? most : throw new UsageException($"--max-attempts {parse.GetValue(attempts)} is not between 1 and 16."),
            };
            return RunAsync(options, null, cancel);
        });
        return command;
    }

    private static async Task<int> RunAsync(GatewayOptions options, (string Path, string Text)? config, CancellationToken cancel)
    {
        // Bytes go on on the thread that received them: nothing in the gateway blocks, and a hop to the thread pool costs more
        // than what most requests need. Read by the runtime when the first socket is used.
        Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
        using var stop = new StopSignals();
        await using var gateway = await StartAsync(options, cancel);
        using var watching = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        if (config is { } file) _ = new FileWatch(file.Path, TimeProvider.System).RunAsync(file.Text, changed => Apply(gateway, changed), Complain, watching.Token);
        foreach (var worker in gateway.State.Fleet.Workers)
            Console.Out.WriteLine($"  {worker.Address.Name,-24} {worker.Adapter.Names[0],-14} {worker.Health.ToString().ToLowerInvariant(),-10} {string.Join(", ", worker.Models)}");
        Console.Out.WriteLine($"Listening on {gateway.Address.ToString().TrimEnd('/')} (OpenAI's API under /v1; policy {options.Policy}; Ctrl-C stops)");
        await Console.Out.FlushAsync(cancel);
        await stop.First;
        await Console.Error.WriteLineAsync($"Stopping: {gateway.State.Inside} running requests may finish within {options.DrainTime.TotalSeconds:0} s (signal again to stop at once).");
        var drained = gateway.DrainAsync();
        if (await Task.WhenAny(drained, stop.Second) == stop.Second) return Failures.Interrupted;
        if (!await drained) await Console.Error.WriteLineAsync("Some requests did not finish in time and were broken off.");
        return 0;
    }

    private static async Task<GatewayServer> StartAsync(GatewayOptions options, CancellationToken cancel)
    {
        try
        {
            return await GatewayServer.StartAsync(options, cancel: cancel);
        }
        catch (GatewayConfigurationException error)
        {
            throw new CommandException(error.Message);
        }
    }

    private static (string Text, GatewayOptions Options) Read(FileInfo file)
    {
        using var reader = Input.OpenText(file);
        var text = reader.ReadToEnd();
        try
        {
            return (text, GatewayFile.Parse(file.Name, text));
        }
        catch (GatewayConfigurationException error)
        {
            throw new CommandException(error.Message);
        }
    }

    private static void Apply(GatewayServer gateway, GatewayOptions options)
    {
        gateway.State.Apply(options);
        Console.Error.WriteLine($"The configuration changed: {gateway.State.Fleet.Workers.Length} workers, policy {options.Policy}, {options.Tenants.Length} tenants.");
    }

    private static void Complain(string problem) => Console.Error.WriteLine($"The new configuration is not used: {problem}");

    private static WorkerAddress Parsed(string text)
    {
        try
        {
            return WorkerAddress.Parse(text);
        }
        catch (GatewayConfigurationException error)
        {
            throw new UsageException(error.Message);
        }
    }

    private static string Known(string policy) => PolicyCatalog.Find(policy) is not null ? policy
        : throw new UsageException($"'{policy}' is not a policy; choose among {string.Join(", ", PolicyCatalog.Names)}.");
}
