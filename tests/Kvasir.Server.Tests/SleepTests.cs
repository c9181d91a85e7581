using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;

namespace Kvasir.Server.Tests;

/// <summary>A server whose model sleeps and wakes, by vLLM's routes.</summary>
public sealed class SleepTests(Models models)
{
    [Fact]
    public async Task A_model_sleeps_and_wakes_and_says_so_everywhere()
    {
        await using var server = await TestServer.OwnAsync(await models.LoadScriptedAsync(options => options));
        Assert.False((bool)(await GetAsync(server, "/is_sleeping"))["is_sleeping"]!);
        var slept = JsonNode.Parse(await (await server.PostAsync("/sleep?level=2", "")).Content.ReadAsStringAsync())!;
        Assert.Equal((true, 2), ((bool)slept["is_sleeping"]!, (int)slept["level"]!));
        using var client = new HttpClient { BaseAddress = server.Server.Address };
        var ready = await client.GetAsync(new Uri("/ready", UriKind.Relative));
        Assert.Equal((503, """{"status":"sleeping"}"""), ((int)ready.StatusCode, await ready.Content.ReadAsStringAsync()));
        using var refused = await server.PostAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"a"}]}""");
        Assert.Equal((503, "model_sleeping", 5), ((int)refused.StatusCode, (string?)JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!["code"], refused.Headers.RetryAfter!.Delta!.Value.Seconds));
        Assert.Matches(@"(?m)^kvasir_sleep_level(\{.*\})? 2( \d+)?$", await client.GetStringAsync(new Uri("/metrics", UriKind.Relative)));
        var memory = await GetAsync(server, "/v1/memory");
        Assert.DoesNotContain("kv/device", memory.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(200, (int)(await server.PostAsync("/wake_up", "")).StatusCode);
        Assert.Equal("Hello there!", (string?)(await server.AskAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"a"}]}"""))["choices"]![0]!["message"]!["content"]);
    }

    [Theory]
    [InlineData("/sleep?level=3", "level")]
    [InlineData("/sleep?level=x", "level")]
    [InlineData("/sleep?wait_seconds=-1", "wait_seconds")]
    public async Task What_is_no_level_is_refused(string route, string parameter)
    {
        await using var server = await TestServer.StartAsync(models.Scripted);
        using var response = await server.PostAsync(route, "");
        Assert.Equal((400, parameter), ((int)response.StatusCode, (string?)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["param"]));
    }

    private static async Task<JsonNode> GetAsync(TestServer server, string route)
    {
        using var client = new HttpClient { BaseAddress = server.Server.Address };
        return JsonNode.Parse(await client.GetStringAsync(new Uri(route, UriKind.Relative)))!;
    }
}
