using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;

namespace Kvasir.Server.Tests;

/// <summary><c>"kvasir": {"explain": true}</c>.</summary>
public sealed class ExplanationTests(Models models) : IAsyncLifetime
{
    private const string Chat = "/v1/chat/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.OwnAsync(await models.LoadScriptedAsync());

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task An_answer_tells_what_became_of_it()
    {
        var body = """{"messages":[{"role":"user","content":"a question of more than sixteen tokens: a"}],"kvasir":{"explain":true}}""";
        var (first, second) = (await _server.AskAsync(Chat, body), await _server.AskAsync(Chat, body));
        var prompt = (int)first["usage"]!["prompt_tokens"]!;
        Assert.Equal((0, prompt), (Sum(Only(first), "cached_tokens"), Sum(Only(first), "missed_tokens")));
        Assert.Equal((prompt - 1, 1), (Sum(Only(second), "cached_tokens"), (int)Only(second)["missed_tokens"]!["below_block"]!));
        Assert.Equal((int)second["usage"]!["prompt_tokens_details"]!["cached_tokens"]!, (int)Only(second)["cached_tokens"]!["device"]!);
        Assert.Equal((0, 0), ((int)Only(first)["preemptions"]!["count"]!, Only(first)["evictions"]!.AsArray().Count));
        Assert.All((string[])["queue_seconds", "prefill_seconds", "decode_seconds"], name => Assert.InRange((double)Only(first)[name]!, 0, 60));
    }

    [Theory]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"a"}],"stream":true,"kvasir":{"explain":true}}""", false)]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"a"}],"stream":true,"stream_options":{"include_usage":true},"kvasir":{"explain":true}}""", true)]
    [InlineData("/v1/completions", """{"prompt":"a","stream":true,"kvasir":{"explain":true}}""", false)]
    [InlineData("/v1/completions", """{"prompt":"a","stream":true,"stream_options":{"include_usage":true},"kvasir":{"explain":true}}""", true)]
    public async Task A_stream_tells_it_in_its_last_chunk(string path, string body, bool usage)
    {
        var chunks = await _server.StreamAsync(path, body);
        Assert.All(chunks[..^1], chunk => Assert.False(chunk.ContainsKey("kvasir")));
        Assert.Empty(chunks[^1]["choices"]!.AsArray());
        Assert.Equal(usage, chunks[^1].ContainsKey("usage"));
        Assert.Equal(0, (int)Only(chunks[^1])["index"]!);
    }

    [Fact]
    public async Task Each_of_several_answers_has_its_own()
    {
        var answer = await _server.AskAsync("/v1/completions", """{"prompt":["a","l"],"n":2,"max_tokens":3,"kvasir":{"explain":true}}""");
        Assert.Equal([0, 1, 2, 3], answer["kvasir"]!["answers"]!.AsArray().Select(told => (int)told!["index"]!));
    }

    [Fact]
    public async Task A_text_that_ends_at_a_stop_string_tells_what_was_found_too()
    {
        const string Body = """{"messages":[{"role":"user","content":"a question of more than sixteen tokens: s"}],"stop":"beta","kvasir":{"explain":true}}""";
        await _server.AskAsync(Chat, Body);
        var answer = await _server.AskAsync(Chat, Body);
        var prompt = (int)answer["usage"]!["prompt_tokens"]!;
        Assert.Equal(prompt - 1, (int)answer["usage"]!["prompt_tokens_details"]!["cached_tokens"]!);
        Assert.Equal(prompt - 1, Sum(Only(answer), "cached_tokens"));
    }

    [Fact]
    public async Task Without_being_asked_nothing_is_told()
    {
        Assert.False((await _server.AskAsync(Chat, """{"messages":[{"role":"user","content":"a"}],"kvasir":{"explain":false}}""")).ContainsKey("kvasir"));
        using var wrong = await _server.PostAsync(Chat, """{"messages":[{"role":"user","content":"a"}],"kvasir":{"explain":1}}""");
        Assert.Equal("kvasir.explain", (string?)JsonNode.Parse(await wrong.Content.ReadAsStringAsync())!["error"]!["param"]);
    }

    private static JsonObject Only(JsonObject answer) => Assert.Single(answer["kvasir"]!["answers"]!.AsArray())!.AsObject();

    private static int Sum(JsonObject told, string field) => told[field]!.AsObject().Sum(part => (int)part.Value!);
}
