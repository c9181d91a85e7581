using System.Net;
using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;

namespace Kvasir.Server.Tests;

/// <summary><c>/v1/kv</c> and <c>kv_retention</c>.</summary>
public sealed class KvTests(Models models) : IAsyncLifetime
{
    private const string Chat = "/v1/chat/completions", Text = "a system prompt of a good many tokens, which every request begins with";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.OwnAsync(await models.LoadScriptedAsync(options => options with { KvTokens = 1024, ContextTokens = 1024 }));

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task A_pinned_system_prompt_is_found_by_the_next_request()
    {
        var pinned = await _server.AskAsync("/v1/kv/pin", $$"""{"messages":[{"role":"system","content":"{{Text}}"}],"ttl_seconds":60}""");
        Assert.Equal((int)pinned["prompt_tokens"]!, (int)pinned["computed_tokens"]!);
        var tokens = (int)pinned["pin"]!["tokens"]!;
        Assert.InRange((double)pinned["pin"]!["expires_in_seconds"]!, 1, 60);
        var answer = await _server.AskAsync(Chat, $$"""{"messages":[{"role":"system","content":"{{Text}}"},{"role":"user","content":"a"}]}""");
        Assert.InRange((int)answer["usage"]!["prompt_tokens_details"]!["cached_tokens"]!, tokens, tokens + 15);
        var memory = JsonNode.Parse(await _server.Http.GetStringAsync("/v1/memory"))!;
        Assert.Equal((long)pinned["pin"]!["bytes"]!, (long)memory["kv"]!["tiers"]![0]!["pinned_bytes"]!);
        var id = (string)pinned["pin"]!["id"]!;
        Assert.Equal(id, (string?)(await ListAsync(""))["pins"]![0]!["id"]);
        Assert.Equal(id, (string?)(await _server.AskAsync("/v1/kv/unpin", $$"""{"id":"{{id}}"}"""))["id"]);
        using var again = await _server.PostAsync("/v1/kv/unpin", $$"""{"id":"{{id}}"}""");
        Assert.Equal((HttpStatusCode.NotFound, "kv_not_found"), (again.StatusCode, await CodeAsync(again)));
    }

    [Fact]
    public async Task Text_and_token_ids_can_be_pinned_under_a_salt()
    {
        var text = await _server.AskAsync("/v1/kv/pin", $$"""{"prompt":"{{Text}}","cache_salt":"me"}""");
        var ids = (await _server.AskAsync("/tokenize", $$"""{"prompt":"{{Text}}"}"""))["tokens"]!;
        var same = await _server.AskAsync("/v1/kv/pin", $$"""{"prompt":{{ids.ToJsonString()}},"cache_salt":"me"}""");
        Assert.Equal((0, (string?)text["pin"]!["id"]), ((int)same["computed_tokens"]!, (string?)same["pin"]!["id"]));
        Assert.Null(same["pin"]!["expires_in_seconds"]);
        Assert.NotEqual("default", (string?)same["pin"]!["tenant"]);
    }

    [Theory]
    [InlineData("""{}""", "missing_required_parameter", "prompt")]
    [InlineData("""{"prompt":"short"}""", "invalid_value", null)]
    [InlineData("""{"prompt":"a","messages":[{"role":"user","content":"a"}]}""", "invalid_value", "prompt")]
    [InlineData("""{"prompt":5}""", "invalid_type", "prompt")]
    [InlineData("""{"prompt":[1,"x"]}""", "invalid_type", "prompt[1]")]
    [InlineData("""{"prompt":"a","ttl_seconds":0}""", "invalid_value", "ttl_seconds")]
    [InlineData("""{"prompt":"a","cache_salt":""}""", "invalid_value", "cache_salt")]
    [InlineData("""{"prompt":[99999999,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}""", "invalid_value", null)]
    [InlineData("""{"prompt":"a","model":"other"}""", "model_not_found", "model")]
    public async Task A_pin_that_is_wrong_is_refused(string body, string code, string? param)
    {
        using var response = await _server.PostAsync("/v1/kv/pin", body);
        var error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal((code, param), ((string?)error["code"], (string?)error["param"]));
    }

    [Fact]
    public async Task A_prompt_beyond_the_context_is_refused_by_its_name()
    {
        using var response = await _server.PostAsync("/v1/kv/pin", $$"""{"prompt":"{{new string('x', 1100)}}"}""");
        var error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal(("context_length_exceeded", "prompt"), ((string?)error["code"], (string?)error["param"]));
    }

    [Fact]
    public async Task Pins_beyond_their_share_are_refused_with_the_numbers()
    {
        using var response = await _server.PostAsync("/v1/kv/pin", $$"""{"prompt":"{{new string('x', 900)}}"}""");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal("memory_exceeded", (string?)error["code"]);
        Assert.Matches(@"would hold \d+ blocks .*may hold 32 ", (string?)error["message"]);
    }

    [Fact]
    public async Task What_is_cached_is_listed_page_by_page_and_deleted_by_prefix_tenant_and_all()
    {
        foreach (var (text, salt) in ((string, string)[])[("a", "one"), ("l", "two"), ("s", "two")])
            await _server.AskAsync(Chat, $$"""{"messages":[{"role":"user","content":"{{text}} {{Text}} {{text}}"}],"max_tokens":3,"cache_salt":"{{salt}}"}""");
        var all = await ListAsync("");
        var total = (int)all["total"]!;
        Assert.Equal(total, all["data"]!.AsArray().Count);
        var first = await ListAsync("?limit=1&offset=1");
        Assert.Equal((true, 1, (string?)all["data"]![1]!["id"]), ((bool)first["has_more"]!, (int)first["offset"]!, (string?)first["data"]![0]!["id"]));
        var tenant = all["data"]!.AsArray().GroupBy(node => (string)node!["tenant"]!).MaxBy(group => group.Sum(node => (int)node!["tokens"]!))!.Key;
        Assert.All((await ListAsync($"?tenant={tenant}"))["data"]!.AsArray(), node => Assert.Equal(tenant, (string?)node!["tenant"]));
        var leaf = all["data"]!.AsArray().First(node => (string?)node!["tenant"] != tenant)!;
        Assert.True((int)(await DeleteAsync($"?prefix={leaf["id"]}"))["deleted_blocks"]!["device"]! > 0);
        Assert.True((int)(await DeleteAsync($"?tenant={tenant}"))["deleted_blocks"]!["device"]! > 0);
        Assert.Equal(0, (int)(await ListAsync(""))["total"]!);
        Assert.Equal(0, (int)(await DeleteAsync("?cache_salt=one"))["deleted_blocks"]!["device"]!);
        Assert.Equal(0, (int)(await DeleteAsync("?all=true"))["unpinned"]!);
    }

    [Theory]
    [InlineData("", "invalid_value")]
    [InlineData("?all=yes", "invalid_value")]
    [InlineData("?all=true&tenant=default", "invalid_value")]
    [InlineData("?prefix=nothing", "kv_not_found")]
    [InlineData("?tenant=nobody", "kv_not_found")]
    public async Task A_deletion_that_is_wrong_is_refused(string query, string code)
    {
        using var response = await _server.Http.DeleteAsync("/v1/kv" + query);
        Assert.Equal(code, await CodeAsync(response));
        using var page = await _server.Http.GetAsync("/v1/kv?limit=0");
        Assert.Equal("invalid_value", await CodeAsync(page));
    }

    [Fact]
    public async Task A_conversation_that_is_wanted_longer_outlives_others()
    {
        var wanted = $$"""{"messages":[{"role":"user","content":"{{Text}} a"}],"kv_retention":{"priority":90,"ttl_seconds":600} }""";
        var prompt = (int)(await _server.AskAsync(Chat, wanted))["usage"]!["prompt_tokens"]!;
        for (var i = 0; i < 4; i++) await _server.AskAsync("/v1/completions", $$"""{"prompt":"{{new string((char)('A' + i), 900)}}","max_tokens":1}""");
        var answer = await _server.AskAsync(Chat, wanted);
        Assert.InRange((int)answer["usage"]!["prompt_tokens_details"]!["cached_tokens"]!, prompt / 16 * 16 - 16, prompt - 1);
    }

    [Theory]
    [InlineData("""{"priority":101}""", "kv_retention.priority")]
    [InlineData("""{"priority":"high"}""", "kv_retention.priority")]
    [InlineData("""{"ttl_seconds":0}""", "kv_retention.ttl_seconds")]
    [InlineData("""{"ttl_seconds":99999999}""", "kv_retention.ttl_seconds")]
    [InlineData("5", "kv_retention")]
    public async Task A_hint_that_is_wrong_is_refused(string hint, string param)
    {
        using var response = await _server.PostAsync(Chat, $$"""{"messages":[{"role":"user","content":"a"}],"kv_retention": {{hint}} }""");
        Assert.Equal(param, (string?)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["param"]);
    }

    [Fact]
    public async Task All_of_it_wants_a_key()
    {
        await using var server = await TestServer.StartAsync(models.Scripted, new ServerOptions { ApiKeys = ["key"] });
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.Http.GetAsync("/v1/kv")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.Http.DeleteAsync("/v1/kv?all=true")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.PostAsync("/v1/kv/pin", "{}")).StatusCode);
    }

    private async Task<JsonObject> ListAsync(string query) => JsonNode.Parse(await _server.Http.GetStringAsync("/v1/kv" + query))!.AsObject();

    private async Task<JsonObject> DeleteAsync(string query)
    {
        using var response = await _server.Http.DeleteAsync("/v1/kv" + query);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!.AsObject();
    }

    private static async Task<string?> CodeAsync(HttpResponseMessage response) => (string?)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["code"];
}
