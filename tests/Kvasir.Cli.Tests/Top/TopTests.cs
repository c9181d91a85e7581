using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Kvasir.Cli.Tests.Fixtures;
using Kvasir.Cli.Tests.Load;
using Kvasir.Cli.Top;
using Kvasir.Protocol.Memory;

namespace Kvasir.Cli.Tests.Top;

/// <summary><c>kvasir top</c>.</summary>
public sealed class TopTests(TinyServer server)
{
    [Fact]
    public void It_prints_json_once()
    {
        var outcome = CommandLine.Run("top", server.Address.ToString(), "--json");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        var memory = JsonSerializer.Deserialize(outcome.Output, MemoryJson.Wire.MemoryAnswer)!;
        Assert.Equal("tiny", Assert.Single(memory.Kv.Models).Model);
    }

    [Fact]
    public void It_prints_figures_once()
    {
        var outcome = CommandLine.Run("top", server.Address.Authority, "--once", "--interval", "0.1");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.All((string[])["tiny at http://", "running", "tokens/s generated", "weights", "in_use", "free in the budget", "resident", "KV tier"],
            text => Assert.Contains(text, outcome.Output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Several_models_are_shown_with_their_state()
    {
        using var http = new HttpClient();
        var memory = JsonSerializer.Deserialize(await http.GetStringAsync(new Uri(server.Address, "/v1/memory")), MemoryJson.Wire.MemoryAnswer)!;
        memory = memory with
        {
            Kv = memory.Kv with { Models = [new ModelMemory("first", 0, 0, 0) { State = "awake", Waiting = 0 }, new ModelMemory("second", 0, 0, 0) { State = "asleep", Waiting = 3 }] },
            Requests = [new RequestMemory("r", "default", "running", 1, 0, 1, 0, 0, 1, 0) { Model = "first" }],
        };
        var screen = new StringWriter();
        var console = Spectre.Console.AnsiConsole.Create(new() { Out = new Spectre.Console.AnsiConsoleOutput(screen) });
        console.Profile.Width = 160;
        console.Write(TopView.Render(server.Address, memory, null));
        Assert.All((string[])["first (awake), second (asleep, 3 wait) at", "1 running, 3 waiting", "running (first)"], text => Assert.Contains(text, screen.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public void A_pipe_is_no_terminal_to_draw_on()
    {
        var outcome = CommandLine.Run("top", server.Address.ToString());
        Assert.Equal(2, outcome.Code);
        Assert.Contains("--once or --json", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Where_nothing_listens_it_says_so()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        var outcome = CommandLine.Run("top", $"http://127.0.0.1:{port}", "--once");
        Assert.Equal((1, ""), (outcome.Code, outcome.Output));
        Assert.Contains($"listens at http://127.0.0.1:{port}/", outcome.Error, StringComparison.Ordinal);
        Assert.Contains($"kvasir serve --port {port}", outcome.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ftp://host", "--once")]
    [InlineData("127.0.0.1:1", "--interval", "0")]
    public void Wrong_usage_is_refused(params string[] arguments) => Assert.Equal(2, CommandLine.Run(["top", .. arguments]).Code);

    [Fact]
    public void Rates_are_differences()
    {
        var before = new EngineTotals(100, 10, 100, 0, 1, 5, 10, 1, 20);
        var now = new EngineTotals(300, 60, 200, 90, 2, 9, 30, 2, 22);
        Assert.Equal(new Rates(100, 25, 0.9, 0.5, 1, 4), Rates.Between(before, now));
        Assert.Null(Rates.Between(now, before));
        Assert.Null(Rates.Between(now, now));
        Assert.Null(Rates.Between(before, before with { UptimeSeconds = 30 })!.HitRate);
    }
}
