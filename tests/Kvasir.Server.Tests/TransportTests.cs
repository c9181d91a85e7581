using System.Net;
using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;
using OpenAI.Chat;

namespace Kvasir.Server.Tests;

/// <summary>Keys, ids, origins, life signs and the page for people.</summary>
public sealed class TransportTests(Models models)
{
    private const string Ask = """{"messages":[{"role":"user","content":"a"}]}""";

    [Fact]
    public async Task Without_one_of_the_keys_there_is_a_401()
    {
        await using var server = await TestServer.StartAsync(models.Scripted, new ServerOptions { ApiKeys = ["first", "second"] });
        ChatCompletion answer = await server.OpenAI("second").GetChatClient("scripted").CompleteChatAsync([new UserChatMessage("a")]);
        Assert.Equal("Hello there!", answer.Content[0].Text);
        var error = await Assert.ThrowsAsync<System.ClientModel.ClientResultException>(() =>
            server.OpenAI("third").GetChatClient("scripted").CompleteChatAsync([new UserChatMessage("a")]));
        Assert.Equal(401, error.Status);
        Assert.Contains("invalid_api_key", error.Message, StringComparison.Ordinal);
        foreach (var path in (string[])["/v1/models", "/metrics", "/nothing"]) Assert.Equal(HttpStatusCode.Unauthorized, (await server.Http.GetAsync(path)).StatusCode);
        using var refused = await server.PostAsync("/v1/chat/completions", Ask);
        Assert.Equal("Bearer", refused.Headers.WwwAuthenticate.Single().Scheme);
        Assert.Contains("No API key was given", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/health")]
    [InlineData("/ready")]
    [InlineData("/")]
    public async Task Probes_need_no_key(string path)
    {
        await using var server = await TestServer.StartAsync(models.Scripted, new ServerOptions { ApiKeys = ["first"] });
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync(path)).StatusCode);
        if (path == "/") return;
        Assert.Equal(HttpStatusCode.OK, (await server.Http.SendAsync(new HttpRequestMessage(HttpMethod.Head, path))).StatusCode);
    }

    [Fact]
    public async Task A_server_without_its_model_lives_but_is_not_ready()
    {
        await using var server = await TestServer.StartAsync(null);
        Assert.Equal("""{"status":"ok"}""", await server.Http.GetStringAsync("/health"));
        using var ready = await server.Http.GetAsync("/ready");
        Assert.Equal((503, """{"status":"loading"}"""), ((int)ready.StatusCode, await ready.Content.ReadAsStringAsync()));
        foreach (var path in (string[])["/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"])
        {
            using var response = await server.PostAsync(path, """{"messages":[{"role":"user","content":"a"}],"prompt":"a","tokens":[1]}""");
            Assert.Equal(503, (int)response.StatusCode);
            Assert.Equal(TimeSpan.FromSeconds(5), response.Headers.RetryAfter?.Delta);
            Assert.Equal("model_loading", (string?)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["code"]);
        }
        Assert.Contains("loading", await server.Http.GetStringAsync("/"), StringComparison.Ordinal);
        server.Server.Attach(models.Scripted);
        Assert.Equal("""{"status":"ready"}""", await server.Http.GetStringAsync("/ready"));
        Assert.Contains("scripted", await server.Http.GetStringAsync("/"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("my-id_1.2:3", true)]
    [InlineData("with space", false)]
    public async Task A_request_keeps_its_clients_id_where_it_is_printable(string id, bool kept)
    {
        await using var server = await TestServer.StartAsync(models.Scripted);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.TryAddWithoutValidation("x-request-id", id);
        using var response = await server.Http.SendAsync(request);
        Assert.Equal(kept, response.Headers.GetValues("x-request-id").Single() == id);
    }

    [Fact]
    public async Task Browsers_may_call_from_the_named_origins_alone()
    {
        await using var server = await TestServer.StartAsync(models.Scripted, new ServerOptions { CorsOrigins = ["https://a.example"], ApiKeys = ["key"] });
        Assert.Equal("https://a.example", await AllowedAsync("https://a.example"));
        Assert.Null(await AllowedAsync("https://b.example"));

        async Task<string?> AllowedAsync(string origin)
        {
            using var request = new HttpRequestMessage(HttpMethod.Options, "/v1/chat/completions");
            request.Headers.Add("Origin", origin);
            request.Headers.Add("Access-Control-Request-Method", "POST");
            request.Headers.Add("Access-Control-Request-Headers", "authorization,content-type");
            using var response = await server.Http.SendAsync(request);
            return response.Headers.TryGetValues("Access-Control-Allow-Origin", out var values) ? values.Single() : null;
        }
    }

    [Fact]
    public async Task A_taken_port_is_named()
    {
        await using var server = await TestServer.StartAsync(models.Scripted);
        var error = await Assert.ThrowsAsync<ServerStartException>(() => KvasirServer.StartAsync(new ServerOptions { Port = server.Server.Address.Port }));
        Assert.Contains($"Port {server.Server.Address.Port} on 127.0.0.1 is taken", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_that_is_no_address_is_named()
    {
        var error = await Assert.ThrowsAsync<ServerStartException>(() => KvasirServer.StartAsync(new ServerOptions { Host = "my-machine" }));
        Assert.Contains("'my-machine' is not an address", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stream_is_neither_cached_nor_buffered_on_its_way()
    {
        await using var server = await TestServer.StartAsync(models.Scripted);
        using var response = await server.PostAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"a"}],"stream":true}""");
        Assert.Equal("no-cache", response.Headers.CacheControl?.ToString());
        Assert.Equal("no", response.Headers.GetValues("X-Accel-Buffering").Single());
        Assert.Equal("utf-8", response.Content.Headers.ContentType?.CharSet);
    }
}
