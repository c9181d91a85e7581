using Kvasir.Server.Tests.Fixtures;

namespace Kvasir.Server.Tests;

public sealed class CompletionTests(Models models) : IAsyncLifetime
{
    private const string Path = "/v1/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(models.Scripted);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("\"say a\"")]
    [InlineData("[\"say a\"]")]
    [InlineData("[256,97]")]
    [InlineData("[[97]]")]
    public async Task A_prompt_is_text_or_ids(string prompt)
    {
        var answer = await _server.AskAsync(Path, $$"""{"model":"scripted","prompt":{{prompt}}}""");
        var choice = Assert.Single(answer["choices"]!.AsArray())!;
        Assert.Equal(("Hello there!", "stop"), ((string?)choice["text"], (string?)choice["finish_reason"]));
        Assert.Equal("text_completion", (string?)answer["object"]);
        Assert.StartsWith("cmpl-", (string?)answer["id"], StringComparison.Ordinal);
        Assert.Equal(4, (int)answer["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Several_prompts_are_answered_in_their_order()
    {
        var answer = await _server.AskAsync(Path, """{"prompt":["a","s"],"n":2,"stop":"beta"}""");
        Assert.Equal(["Hello there!", "Hello there!", "alpha ", "alpha "], answer["choices"]!.AsArray().Select(choice => (string?)choice!["text"]));
        Assert.Equal([0, 1, 2, 3], answer["choices"]!.AsArray().Select(choice => (int)choice!["index"]!));
        Assert.Equal(4, (int)answer["usage"]!["prompt_tokens"]!);
    }

    [Fact]
    public async Task Sixteen_tokens_are_made_unless_told()
    {
        var answer = await _server.AskAsync(Path, """{"prompt":"l"}""");
        Assert.Equal((16, "length"), ((int)answer["usage"]!["completion_tokens"]!, (string?)answer["choices"]![0]!["finish_reason"]));
    }

    [Theory]
    [InlineData("\"say a\"", "say aHello there!")]
    [InlineData("[97]", "aHello there!")]
    public async Task An_echo_begins_with_the_prompt(string prompt, string expected)
    {
        var answer = await _server.AskAsync(Path, $$"""{"prompt":{{prompt}},"echo":true}""");
        Assert.Equal(expected, (string?)answer["choices"]![0]!["text"]);
        var events = await _server.StreamAsync(Path, $$"""{"prompt":{{prompt}},"echo":true,"stream":true}""");
        Assert.Equal(expected, string.Concat(events.Select(part => (string?)part["choices"]![0]!["text"])));
    }

    [Fact]
    public async Task A_stream_brings_text_reason_and_usage()
    {
        var events = await _server.StreamAsync(Path, """{"prompt":["a","u"],"max_tokens":40,"stream":true,"stream_options":{"include_usage":true}}""");
        Assert.Equal("Hello there!", Text(0));
        Assert.Equal(Models.Unicode, Text(1));
        Assert.Equal(2, events.Count(part => part["choices"]!.AsArray() is [{ } choice] && (string?)choice["finish_reason"] == "stop"));
        Assert.Empty(events[^1]["choices"]!.AsArray());
        Assert.True((int)events[^1]["usage"]!["completion_tokens"]! > 8);

        string Text(int index) => string.Concat(events[..^1].Select(part => part["choices"]![0]!)
            .Where(choice => (int)choice["index"]! == index).Select(choice => (string?)choice["text"]));
    }

    [Fact]
    public async Task A_half_character_at_the_prompts_end_is_completed()
    {
        var answer = await _server.AskAsync(Path, """{"prompt":[97,197]}""");
        Assert.Equal("ż!", (string?)answer["choices"]![0]!["text"]);
    }
}
