using System.CommandLine;
using Kvasir.Cli.Rendering;
using Kvasir.Cli.Top;
using Spectre.Console;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir top</c>: a server's memory and requests, live.</summary>
public static class TopCommand
{
    private const string DefaultAddress = "http://127.0.0.1:8080";

    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var url = new Argument<string>("URL") { Description = "The server.", DefaultValueFactory = _ => DefaultAddress };
        var once = new Option<bool>("--once") { Description = "Look twice, an interval apart, print once and end." };
        var json = new Option<bool>("--json") { Description = "Print what the server answers (GET /v1/memory) once, as JSON, and end." };
        var interval = new Option<double>("--interval") { Description = "Seconds between two looks, 0.1 to 3600.", DefaultValueFactory = _ => 1, HelpName = "SECONDS" };
        var key = new Option<string?>("--api-key") { Description = "Key that the server asks for." };
        var command = new KvasirCommand("top", "Watch a server: memory by owner, the KV cache by tier and tenant, requests, cache hits, tokens per second. Ctrl-C ends.",
            "kvasir top",
            "kvasir top http://10.0.0.5:8000 --interval 5 --api-key KEY",
            "kvasir top --once",
            "kvasir top --json | jq .forecast")
        {
            url, once, json, interval, key,
        };
        command.SetAction(async (parse, cancel) =>
        {
            var seconds = parse.GetValue(interval);
            if (seconds is not (>= 0.1 and <= 3600)) throw new UsageException($"--interval is {seconds}, but must be between 0.1 and 3600 seconds.");
            var address = MemorySource.Parse(parse.GetRequiredValue(url));
            using var source = new MemorySource(address, parse.GetValue(key));
            if (parse.GetValue(json)) Console.Out.WriteLine((await source.ReadAsync(cancel)).Json);
            else if (parse.GetValue(once)) Terminal.Out.Write(await LookAsync(source, address, TimeSpan.FromSeconds(seconds), cancel));
            else if (Console.IsOutputRedirected) throw new UsageException("Standard output is no terminal to draw on; use --once or --json.");
            else await WatchAsync(source, address, TimeSpan.FromSeconds(seconds), cancel);
            return 0;
        });
        return command;
    }

    private static async Task<Spectre.Console.Rendering.IRenderable> LookAsync(MemorySource source, Uri address, TimeSpan interval, CancellationToken cancel)
    {
        var before = (await source.ReadAsync(cancel)).Memory;
        await Task.Delay(interval, cancel);
        var now = (await source.ReadAsync(cancel)).Memory;
        return TopView.Render(address, now, Rates.Between(before.Totals, now.Totals));
    }

    private static async Task WatchAsync(MemorySource source, Uri address, TimeSpan interval, CancellationToken cancel)
    {
        var before = (await source.ReadAsync(cancel)).Memory;
        await Terminal.Out.Live(TopView.Render(address, before, null)).AutoClear(false).StartAsync(async screen =>
        {
            while (true)
            {
                await Task.Delay(interval, cancel);
                var now = (await source.ReadAsync(cancel)).Memory;
                screen.UpdateTarget(TopView.Render(address, now, Rates.Between(before.Totals, now.Totals)));
                before = now;
            }
        });
    }
}
