using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;

namespace Kvasir.Server.Tests;

public sealed class PrefixCacheTests(Models models) : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(models.Random);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task A_repeated_prompt_is_cached_up_to_its_last_token()
    {
        var (first, text) = await CachedAsync("a conversation");
        var (second, again) = await CachedAsync("a conversation");
        Assert.Equal(0, first.Cached);
        Assert.Equal(second.Prompt - 1, second.Cached);
        Assert.Equal(text, again);
    }

    [Fact]
    public async Task Requests_of_different_salts_share_nothing()
    {
        await CachedAsync("mine");
        Assert.Equal(0, (await CachedAsync("yours")).Usage.Cached);
    }

    private async Task<((int Prompt, int Cached) Usage, string Text)> CachedAsync(string salt)
    {
        var body = new JsonObject { ["prompt"] = new string('x', 50), ["max_tokens"] = 8, ["ignore_eos"] = true, ["temperature"] = 0, ["cache_salt"] = salt };
        var answer = await _server.AskAsync("/v1/completions", body.ToJsonString());
        var usage = answer["usage"]!;
        return (((int)usage["prompt_tokens"]!, (int)usage["prompt_tokens_details"]!["cached_tokens"]!), (string)answer["choices"]![0]!["text"]!);
    }
}
