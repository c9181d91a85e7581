using System.Text;
using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;
using OpenAI.Chat;

namespace Kvasir.Server.Tests;

/// <summary>More than fits, clients that leave, and a server that shall stop.</summary>
public sealed class LoadTests(Models models)
{
    private const string Chat = "/v1/chat/completions";
    private const string Endless = """{"messages":[{"role":"user","content":"l"}],"stream":true}""";
    private const string Short = """{"messages":[{"role":"user","content":"a"}]}""";

    [Fact]
    public async Task A_full_queue_is_a_429_that_says_when_to_come_back()
    {
        await using var server = await TestServer.OwnAsync(await models.LoadScriptedAsync(options => options with { MaxSequences = 1, MaxQueue = 1, ContextTokens = 65536 }));
        using var first = await server.PostAsync(Chat, Endless);
        await WaitAsync(server, running: 1, waiting: 0);
        using var second = await server.PostAsync(Chat, Endless);
        await WaitAsync(server, running: 1, waiting: 1);
        using var third = await server.PostAsync(Chat, Short);
        var error = JsonNode.Parse(await third.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal((429, "rate_limit_error", "queue_full"), ((int)third.StatusCode, (string?)error["type"], (string?)error["code"]));
        Assert.Equal(TimeSpan.FromSeconds(1), third.Headers.RetryAfter?.Delta);
        Assert.Contains("1 requests are waiting and the queue holds 1", (string?)error["message"], StringComparison.Ordinal);
        first.Dispose();
        second.Dispose();
        await WaitAsync(server, running: 0, waiting: 0);
        Assert.Equal("Hello there!", (string?)(await server.AskAsync(Chat, Short))["choices"]![0]!["message"]!["content"]);
    }

    [Fact]
    public async Task More_answers_than_run_and_wait_together_are_refused_at_once()
    {
        await using var server = await TestServer.OwnAsync(await models.LoadScriptedAsync(options => options with { MaxSequences = 1, MaxQueue = 1, ContextTokens = 65536 }));
        using var response = await server.PostAsync(Chat, """{"messages":[{"role":"user","content":"a"}],"n":3}""");
        var error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal((400, "n"), ((int)response.StatusCode, (string?)error["param"]));
        Assert.Contains("asks for 3 answers, more than the 2", (string?)error["message"], StringComparison.Ordinal);
        Assert.Equal(2, (await server.AskAsync(Chat, """{"messages":[{"role":"user","content":"a"}],"n":2}"""))["choices"]!.AsArray().Count);
    }

    [Fact]
    public async Task A_prompt_beyond_the_whole_cache_is_refused_with_the_numbers_and_what_helps()
    {
        await using var server = await TestServer.OwnAsync(await models.LoadScriptedAsync(options => options with { KvTokens = 512 }));
        using var response = await server.PostAsync(Chat, Short.Replace("\"a\"", $"\"{new string('x', 600)}\"", StringComparison.Ordinal));
        var error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal((400, "memory_exceeded", "messages"), ((int)response.StatusCode, (string?)error["code"], (string?)error["param"]));
        Assert.Contains("602 tokens, but the KV cache holds 512 in all", (string?)error["message"], StringComparison.Ordinal);
        Assert.Contains("raise --memory", (string?)error["message"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_client_that_leaves_frees_its_memory_within_a_step(bool streams)
    {
        await using var server = await TestServer.OwnAsync(await models.LoadScriptedAsync(options => options with { ContextTokens = 65536 }));
        var engine = server.Server.State.Engine!.Engine;
        var ledger = engine.Ledger.Lines();
        var body = streams ? Endless : Endless.Replace("true", "false", StringComparison.Ordinal);
        using var leaving = new CancellationTokenSource();
        var request = server.PostAsync(Chat, body, leaving.Token);
        if (streams)
        {
            using var response = await request;
            await response.Content.ReadAsStream().ReadExactlyAsync(new byte[500]);
            Assert.InRange(engine.Snapshot().KvBlocksUsed, 1, 4096);
        }
        else
        {
            await WaitAsync(server, running: 1, waiting: 0);
            await leaving.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        }
        await WaitAsync(server, running: 0, waiting: 0);
        Assert.Equal(0, engine.Snapshot().KvBlocksUsed);
        Assert.Equal(ledger, engine.Ledger.Lines());
        Assert.Equal(0, server.Server.State.Inside);
        // It left in the middle, not because it was done.
        Assert.True(engine.Snapshot().GeneratedTokens < 65536 - 3);
    }

    [Fact]
    public async Task A_draining_server_finishes_what_is_inside_and_refuses_the_rest()
    {
        var server = await TestServer.OwnAsync(await models.LoadScriptedAsync());
        await using var owned = server;
        using var running = await server.PostAsync(Chat, Endless.Replace("\"stream\"", "\"max_tokens\":8000,\"stream_options\":{\"include_usage\":true},\"stream\"", StringComparison.Ordinal));
        var stream = await running.Content.ReadAsStreamAsync();
        await stream.ReadExactlyAsync(new byte[200]);
        var drained = server.Server.DrainAsync();
        using (var refused = await server.PostAsync(Chat, Short))
        {
            Assert.Equal(503, (int)refused.StatusCode);
            Assert.Equal("draining", (string?)JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!["code"]);
            Assert.NotNull(refused.Headers.RetryAfter);
        }
        using (var ready = await server.Http.GetAsync("/ready")) Assert.Equal(503, (int)ready.StatusCode);
        using (var health = await server.Http.GetAsync("/health")) Assert.Equal(200, (int)health.StatusCode);
        var rest = await new StreamReader(stream).ReadToEndAsync();
        Assert.Contains("\"completion_tokens\":8000", rest, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", rest, StringComparison.Ordinal);
        Assert.True(await drained);
        await Assert.ThrowsAsync<HttpRequestException>(() => server.Http.GetAsync("/health"));
    }

    [Fact]
    public async Task A_drain_does_not_wait_longer_than_it_was_told()
    {
        var engine = await models.LoadScriptedAsync(options => options with { ContextTokens = 65536 });
        await using var server = await TestServer.OwnAsync(engine, new ServerOptions { DrainTime = TimeSpan.FromMilliseconds(100) });
        using var running = await server.PostAsync(Chat, Endless);
        await running.Content.ReadAsStream().ReadExactlyAsync(new byte[200]);
        Assert.False(await server.Server.DrainAsync());
        await WaitAsync(server, running: 0, waiting: 0);
    }

    [Fact]
    public async Task A_silent_stream_shows_that_it_lives()
    {
        var engine = await models.LoadScriptedAsync(options => options with { MaxSequences = 1 });
        await using var server = await TestServer.OwnAsync(engine, new ServerOptions { KeepAliveInterval = TimeSpan.FromMilliseconds(20) });
        using var first = await server.PostAsync(Chat, Endless);
        await WaitAsync(server, running: 1, waiting: 0);
        using var second = await server.PostAsync(Chat, Endless);
        var start = new byte[11];
        await second.Content.ReadAsStream().ReadExactlyAsync(start);
        Assert.Equal(": waiting\n\n", Encoding.UTF8.GetString(start));
        first.Dispose();
        // The official client skips the comments.
        await foreach (var update in server.Chat("scripted").CompleteChatStreamingAsync([new UserChatMessage("a")]))
            Assert.NotNull(update.CompletionId);
    }

    private static async Task WaitAsync(TestServer server, int running, int waiting)
    {
        var engine = server.Server.State.Engine!.Engine;
        for (var tries = 0; tries < 500; tries++)
        {
            var snapshot = engine.Snapshot();
            if (snapshot.Running == running && snapshot.Waiting == waiting && (running > 0 || snapshot.KvBlocksUsed == 0 && server.Server.State.Inside == 0)) return;
            await Task.Delay(10);
        }
        Assert.Fail($"After 5 s: {engine.Snapshot()}, {server.Server.State.Inside} inside.");
    }
}
