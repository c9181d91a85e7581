using System.Text.Json;
using Kvasir.Cli.Load;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Kvasir.Cli.Tests.Load;

/// <summary>Servers that know less than ours, or fail.</summary>
public sealed class OtherServersTests
{
    private static readonly LoadShape Shape = new() { Requests = 3, PromptTokens = 20, OutputTokens = 5 };

    [Fact]
    public async Task A_server_without_tokenizer_usage_and_ignore_eos_is_measured_by_what_it_sends()
    {
        await using var strict = await FakeServer.StartAsync(async http =>
        {
            using var body = await JsonDocument.ParseAsync(http.Request.Body);
            if (body.RootElement.TryGetProperty("ignore_eos", out _) || body.RootElement.TryGetProperty("stream_options", out _))
            {
                http.Response.StatusCode = 400;
                await http.Response.WriteAsync("""{"error":{"message":"Unknown field."}}""");
                return;
            }
            await FakeServer.StreamAsync(http, """{"choices":[{"text":"one"}]}""", """{"choices":[{"text":" two"}]}""", "[DONE]");
        });
        using var bench = await ConnectAsync(strict);
        using var log = new StringWriter();
        var result = Assert.Single(await bench.RunAsync([ServingLoads.Random], log, default));
        Assert.Empty(result.Errors);
        Assert.Equal(3 * 2, result.OutputTokens);
        Assert.Null(result.CachedTokens);
        Assert.Null(result.IdealCachedTokens);
        Assert.Contains("estimates", log.ToString(), StringComparison.Ordinal);
        Assert.Contains("refuses ignore_eos", log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cached_tokens_are_read_from_llama_servers_timings_too()
    {
        await using var other = await FakeServer.StartAsync(http =>
            FakeServer.StreamAsync(http, """{"choices":[{"text":"x"}],"timings":{"cache_n":7,"prompt_n":3}}""", """{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4}}""", "[DONE]"));
        using var bench = await ConnectAsync(other);
        var result = Assert.Single(await bench.RunAsync([ServingLoads.Random], TextWriter.Null, default));
        Assert.Equal((21, 30, 12), (result.CachedTokens, result.PromptTokens, result.OutputTokens));
    }

    [Fact]
    public async Task What_goes_wrong_is_counted_by_its_words()
    {
        var number = 0;
        await using var failing = await FakeServer.StartAsync(async http =>
        {
            switch (Interlocked.Increment(ref number))
            {
                case 2:
                    http.Response.StatusCode = 429;
                    await http.Response.WriteAsync("""{"error":{"message":"Too many."}}""");
                    break;
                case 3: await FakeServer.StreamAsync(http, """{"choices":[{"text":"x"}]}"""); break;
                case 4: await FakeServer.StreamAsync(http, """{"error":{"message":"The engine failed."}}""", "[DONE]"); break;
                default: await FakeServer.StreamAsync(http, """{"choices":[{"text":"x"}]}""", "[DONE]"); break;
            }
        });
        using var bench = await ConnectAsync(failing, Shape with { Requests = 5, Concurrency = 1 });
        var result = Assert.Single(await bench.RunAsync([ServingLoads.Random], TextWriter.Null, default));
        Assert.Equal(2, result.Answered.Count);
        Assert.Equal(["HTTP 429: Too many.", "The engine failed.", "the stream broke off before [DONE]"], result.Errors.Select(error => error.Error).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_request_that_takes_too_long_is_given_up()
    {
        var number = 0;
        await using var slow = await FakeServer.StartAsync(async http =>
        {
            if (Interlocked.Increment(ref number) > 1) await Task.Delay(Timeout.Infinite, http.RequestAborted);
            await FakeServer.StreamAsync(http, """{"choices":[{"text":"x"}]}""", "[DONE]");
        });
        using var bench = await ServingBench.ConnectAsync([new ServerAddress("slow", slow.Address, null)], TinyServer.Form() with { Timeout = TimeSpan.FromSeconds(0.5) }, Shape with { Requests = 1 }, TimeProvider.System, default);
        var result = Assert.Single(await bench.RunAsync([ServingLoads.Random], TextWriter.Null, default));
        Assert.StartsWith("no complete answer within", Assert.Single(result.Errors).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_not_there_or_wants_a_key_is_told_in_a_sentence()
    {
        var absent = await Assert.ThrowsAsync<CommandException>(() => ServingBench.ConnectAsync([new ServerAddress("none", new Uri("http://127.0.0.1:1/"), null)], TinyServer.Form(), Shape, TimeProvider.System, default));
        Assert.Contains("http://127.0.0.1:1/", absent.Message, StringComparison.Ordinal);
        await using var locked = await FakeServer.StartAsync(http => Task.CompletedTask, key: "secret");
        var refused = await Assert.ThrowsAsync<CommandException>(() => ConnectAsync(locked));
        Assert.Contains("--api-key", refused.Message, StringComparison.Ordinal);
    }

    private static Task<ServingBench> ConnectAsync(FakeServer server, LoadShape? shape = null) =>
        ServingBench.ConnectAsync([new ServerAddress("fake", server.Address, null)], TinyServer.Form(), shape ?? Shape, TimeProvider.System, default);

    private sealed class FakeServer : IAsyncDisposable
    {
        private readonly WebApplication _app;

        private FakeServer(WebApplication app) => _app = app;

        public Uri Address => new(_app.Urls.First());

        public static async Task<FakeServer> StartAsync(RequestDelegate completions, string? key = null)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            var app = builder.Build();
            app.Urls.Add("http://127.0.0.1:0");
            app.MapGet("/v1/models", http =>
            {
                if (key is not null && http.Request.Headers.Authorization != $"Bearer {key}") http.Response.StatusCode = 401;
                return http.Response.WriteAsync("""{"data":[{"id":"fake","owned_by":"test"}]}""");
            });
            app.MapPost("/v1/completions", completions);
            await app.StartAsync();
            return new FakeServer(app);
        }

        public static async Task StreamAsync(HttpContext http, params string[] events)
        {
            http.Response.ContentType = "text/event-stream";
            foreach (var data in events) await http.Response.WriteAsync($"data: {data}\n\n");
        }

        public ValueTask DisposeAsync() => _app.DisposeAsync();
    }
}
