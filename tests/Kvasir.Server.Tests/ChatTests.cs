using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;
using OpenAI.Chat;

namespace Kvasir.Server.Tests;

/// <summary>Chat completions as OpenAI's official client sees them.</summary>
public sealed class ChatTests(Models models) : IAsyncLifetime
{
    private const string Path = "/v1/chat/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(models.Scripted);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task A_chat_is_answered_with_text_reason_and_usage()
    {
        ChatCompletion answer = await _server.Chat("scripted").CompleteChatAsync([new SystemChatMessage("Be short."), new UserChatMessage("a")]);
        Assert.Equal("Hello there!", answer.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.Equal(ChatMessageRole.Assistant, answer.Role);
        Assert.Equal("scripted", answer.Model);
        Assert.StartsWith("chatcmpl-", answer.Id, StringComparison.Ordinal);
        Assert.InRange(answer.CreatedAt, DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddMinutes(1));
        // <|begin|><|system|>Be short.<|user|>a and "Hello", " there", "!", <|end|>.
        Assert.Equal((13, 4, 17), (answer.Usage.InputTokenCount, answer.Usage.OutputTokenCount, answer.Usage.TotalTokenCount));
        Assert.InRange(answer.Usage.InputTokenDetails.CachedTokenCount, 0, 12);
    }

    [Fact]
    public async Task A_streamed_chat_brings_role_text_and_reason_in_this_order()
    {
        var updates = new List<StreamingChatCompletionUpdate>();
        await foreach (var update in _server.Chat("scripted").CompleteChatStreamingAsync([new UserChatMessage("a")])) updates.Add(update);
        Assert.Equal(ChatMessageRole.Assistant, updates[0].Role);
        Assert.Equal("Hello there!", string.Concat(updates.SelectMany(update => update.ContentUpdate).Select(part => part.Text)));
        Assert.Equal(ChatFinishReason.Stop, Assert.Single(updates, update => update.FinishReason is not null).FinishReason);
        Assert.Single(updates.Select(update => update.CompletionId).Distinct());
        // The client always asks for the usage, which comes last and alone.
        Assert.Equal(4, updates[^1].Usage.OutputTokenCount);
        Assert.Empty(updates[^1].ContentUpdate);
    }

    [Theory]
    [InlineData(""","stream_options":{"include_usage":true}""", true)]
    [InlineData(""","stream_options":{"include_usage":false}""", false)]
    [InlineData("", false)]
    public async Task Usage_ends_a_stream_where_asked_for(string option, bool expected)
    {
        var events = await _server.StreamAsync(Path, $$"""{"messages":[{"role":"user","content":"a"}],"cache_salt":"nobody else's","stream":true{{option}}}""");
        Assert.Equal(expected, events[^1]["usage"] is not null);
        Assert.All(events[..^1], part => Assert.Null(part["usage"]));
        if (!expected) return;
        Assert.Empty(events[^1]["choices"]!.AsArray());
        Assert.Equal("""{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":0}}""", events[^1]["usage"]!.ToJsonString());
    }

    [Theory]
    [InlineData("u", Models.Unicode)]
    [InlineData("v", Models.Emoji)]
    public async Task Characters_that_tokens_cut_arrive_whole(string prompt, string expected)
    {
        var events = await _server.StreamAsync(Path, $$"""{"messages":[{"role":"user","content":"{{prompt}}"}],"stream":true}""");
        var deltas = events.Select(part => (string?)part["choices"]![0]!["delta"]!["content"] ?? "").ToArray();
        Assert.Equal(expected, string.Concat(deltas));
        Assert.All(deltas, delta => Assert.DoesNotContain('\uFFFD', delta));
        Assert.All(deltas, delta => Assert.False(delta.Length > 0 && (char.IsLowSurrogate(delta[0]) || char.IsHighSurrogate(delta[^1]))));
        Assert.True(deltas.Count(delta => delta.Length > 0) > 3);
    }

    [Fact]
    public async Task Half_a_character_at_the_end_shows_as_the_replacement_character()
    {
        ChatCompletion answer = await _server.Chat("scripted").CompleteChatAsync([new UserChatMessage("b")]);
        Assert.Equal("ok\uFFFD", answer.Content[0].Text);
    }

    [Fact]
    public async Task Length_ends_an_answer_and_says_so()
    {
        ChatCompletion answer = await _server.Chat("scripted").CompleteChatAsync([new UserChatMessage("l")], new ChatCompletionOptions { MaxOutputTokenCount = 5 });
        Assert.Equal("one two three one two ", answer.Content[0].Text);
        Assert.Equal((ChatFinishReason.Length, 5), (answer.FinishReason, answer.Usage.OutputTokenCount));
    }

    [Fact]
    public async Task A_stop_string_across_tokens_ends_the_answer_and_is_not_shown()
    {
        var options = new ChatCompletionOptions { StopSequences = { "beta", "delta" } };
        ChatCompletion answer = await _server.Chat("scripted").CompleteChatAsync([new UserChatMessage("s")], options);
        Assert.Equal(("alpha ", ChatFinishReason.Stop), (answer.Content[0].Text, answer.FinishReason));
        var text = "";
        await foreach (var update in _server.Chat("scripted").CompleteChatStreamingAsync([new UserChatMessage("s")], options))
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
        Assert.Equal("alpha ", text);
    }

    [Fact]
    public async Task Beyond_openais_fields_vllms_work()
    {
        var shown = await _server.AskAsync(Path, """{"messages":[{"role":"user","content":"s"}],"stop":"beta","include_stop_str_in_output":true}""");
        Assert.Equal("alpha beta", (string?)shown["choices"]![0]!["message"]!["content"]);
        var ignoring = await _server.AskAsync(Path, """{"messages":[{"role":"user","content":"a"}],"ignore_eos":true,"skip_special_tokens":false,"max_tokens":4}""");
        Assert.Equal("Hello there!<|end|>", (string?)ignoring["choices"]![0]!["message"]!["content"]);
        Assert.Equal("length", (string?)ignoring["choices"]![0]!["finish_reason"]);
        var stopping = await _server.AskAsync(Path, """{"messages":[{"role":"user","content":"a"}],"stop_token_ids":[262]}""");
        Assert.Equal("Hello", (string?)stopping["choices"]![0]!["message"]!["content"]);
    }

    [Fact]
    public async Task Several_answers_come_with_their_indices_and_one_prompts_tokens()
    {
        var answer = await _server.AskAsync(Path, """{"messages":[{"role":"user","content":"a"}],"n":3}""");
        Assert.Equal([0, 1, 2], answer["choices"]!.AsArray().Select(choice => (int)choice!["index"]!));
        Assert.All(answer["choices"]!.AsArray(), choice => Assert.Equal("Hello there!", (string?)choice!["message"]!["content"]));
        Assert.Equal((3, 12), ((int)answer["usage"]!["prompt_tokens"]!, (int)answer["usage"]!["completion_tokens"]!));
        var events = await _server.StreamAsync(Path, """{"messages":[{"role":"user","content":"a"}],"n":3,"stream":true}""");
        foreach (var index in new[] { 0, 1, 2 })
        {
            var choices = events.Select(part => part["choices"]![0]!).Where(choice => (int)choice["index"]! == index).ToArray();
            Assert.Equal("Hello there!", string.Concat(choices.Select(choice => (string?)choice["delta"]!["content"])));
            Assert.Equal(["stop"], choices.Select(choice => (string?)choice["finish_reason"]).OfType<string>());
        }
    }

    [Fact]
    public async Task Content_parts_and_developer_messages_are_read()
    {
        JsonObject answer = await _server.AskAsync(Path, """
            {"model":"scripted","messages":[{"role":"developer","content":"x"},
              {"role":"user","content":[{"type":"text","text":"say "},{"type":"text","text":"a"}]}]}
            """);
        Assert.Equal("Hello there!", (string?)answer["choices"]![0]!["message"]!["content"]);
        Assert.Equal("chat.completion", (string?)answer["object"]);
    }
}
