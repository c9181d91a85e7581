using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;
using OpenAI.Chat;

namespace Kvasir.Server.Tests;

/// <summary>Many clients at once: good ones get their answers whatever the others do.</summary>
public sealed class HostileClientsTests(Models models) : IAsyncLifetime
{
    private const string Chat = "/v1/chat/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.OwnAsync(await models.LoadScriptedAsync());

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Good_clients_are_served_among_leaving_and_hostile_ones()
    {
        var engine = _server.Server.State.Engine!.Engine;
        var ledger = engine.Ledger.Lines();
        var random = new Random(11);
        var clients = Enumerable.Range(0, 64).Select(client => (client % 4) switch
        {
            0 => LeaveAsync(random.Next(20, 5000)),
            1 => AttackAsync(random.Next()),
            _ => ReadAsync(client),
        }).ToArray();
        await Task.WhenAll(clients);
        for (var tries = 0; tries < 500 && (engine.Snapshot() is { Running: > 0 } or { Waiting: > 0 } or { KvBlocksUsed: > 0 } || _server.Server.State.Inside > 0); tries++) await Task.Delay(10);
        var end = engine.Snapshot();
        Assert.Equal((0, 0, 0, 0), (end.Running, end.Waiting, end.KvBlocksUsed, _server.Server.State.Inside));
        Assert.Equal(ledger, engine.Ledger.Lines());
        Assert.Equal("Hello there!", await ReadAsync(0));
    }

    private async Task<string> ReadAsync(int client)
    {
        var text = "";
        for (var round = 0; round < 3; round++)
        {
            text = "";
            await foreach (var update in _server.Chat("scripted").CompleteChatStreamingAsync([new UserChatMessage(client % 8 == 2 ? "u" : "a")]))
                text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            Assert.Equal(client % 8 == 2 ? Models.Unicode : "Hello there!", text);
        }
        return text;
    }

    private async Task LeaveAsync(int bytes)
    {
        for (var round = 0; round < 3; round++)
        {
            using var response = await _server.PostAsync(Chat, """{"messages":[{"role":"user","content":"l"}],"stream":true,"n":2}""");
            await response.Content.ReadAsStream().ReadExactlyAsync(new byte[bytes]);
        }
    }

    /// <summary>A good body with bytes turned, cut off or doubled: any answer is fine that is an answer.</summary>
    private async Task AttackAsync(int seed)
    {
        var random = new Random(seed);
        var good = """{"model":"scripted","messages":[{"role":"user","content":"a"}],"max_tokens":9,"stream":false,"logit_bias":{"5":1},"stop":["x"],"temperature":0.5}"""u8.ToArray();
        for (var round = 0; round < 25; round++)
        {
            var body = good.ToArray();
            for (var i = random.Next(1, 6); i > 0; i--) body[random.Next(body.Length)] = (byte)random.Next(256);
            if (random.Next(4) == 0) body = body[..random.Next(body.Length)];
            if (random.Next(8) == 0) body = [.. body, .. body];
            using var response = await _server.PostAsync(random.Next(2) == 0 ? Chat : "/v1/completions", body, "application/json");
            var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
            Assert.True((int)response.StatusCode is 200 or 400 or 404, $"Seed {seed}: {(int)response.StatusCode} for {Convert.ToBase64String(body)}");
            if (!response.IsSuccessStatusCode) Assert.NotNull(answer["error"]!["message"]);
        }
    }

    [Theory]
    [InlineData("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"mess")]
    [InlineData("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n")]
    [InlineData("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: -5\r\n\r\n{}")]
    [InlineData("GET / HTTP/9.9\r\n\r\n")]
    [InlineData("\0\u0001\u0002 nonsense\r\n\r\n")]
    [InlineData("GET /v1/models/%ff%fe%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")]
    public async Task Broken_http_harms_nobody(string request)
    {
        using (var client = new TcpClient())
        {
            await client.ConnectAsync(_server.Server.Address.Host, _server.Server.Address.Port);
            var stream = client.GetStream();
            await stream.WriteAsync(Encoding.Latin1.GetBytes(request));
            client.Client.Shutdown(SocketShutdown.Send);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            var answer = "";
            try
            {
                answer = await new StreamReader(stream).ReadToEndAsync(patience.Token);
            }
            catch (IOException)
            {
                // What cannot be understood further is cut off.
            }
            Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 4", StringComparison.Ordinal) || answer.StartsWith("HTTP/1.1 505", StringComparison.Ordinal), answer);
        }
        Assert.Equal("Hello there!", await ReadAsync(0));
        Assert.Equal(0, _server.Server.State.Inside);
    }
}
