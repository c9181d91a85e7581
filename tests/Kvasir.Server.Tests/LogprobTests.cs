using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;
using OpenAI.Chat;

namespace Kvasir.Server.Tests;

public sealed class LogprobTests(Models models) : IAsyncLifetime
{
    private TestServer _scripted = null!, _random = null!;

    public async ValueTask InitializeAsync() =>
        (_scripted, _random) = (await TestServer.StartAsync(models.Scripted), await TestServer.StartAsync(models.Random));

    public async ValueTask DisposeAsync()
    {
        await _scripted.DisposeAsync();
        await _random.DisposeAsync();
    }

    [Fact]
    public async Task Each_token_of_a_chat_carries_its_probability_bytes_and_alternatives()
    {
        ChatCompletion answer = await _scripted.Chat("scripted").CompleteChatAsync([new UserChatMessage("a")],
            new ChatCompletionOptions { IncludeLogProbabilities = true, TopLogProbabilityCount = 3 });
        Assert.Equal(["Hello", " there", "!", "<|end|>"], answer.ContentTokenLogProbabilities.Select(token => token.Token));
        Assert.All(answer.ContentTokenLogProbabilities, token =>
        {
            Assert.InRange(token.LogProbability, -1e-3, 0);
            Assert.Equal(3, token.TopLogProbabilities.Count);
            Assert.Equal(token.Token, token.TopLogProbabilities[0].Token);
        });
        Assert.Equal(" there", System.Text.Encoding.UTF8.GetString(answer.ContentTokenLogProbabilities[1].Utf8Bytes!.Value.Span));
    }

    [Fact]
    public async Task Streamed_probabilities_are_those_of_the_whole_answer()
    {
        const string body = """
            "messages":[{"role":"user","content":"Once"}],"seed":7,"max_tokens":12,"logprobs":true,"top_logprobs":2,"ignore_eos":true
            """;
        var whole = await _random.AskAsync("/v1/chat/completions", $"{{{body}}}");
        var events = await _random.StreamAsync("/v1/chat/completions", $"{{{body},\"stream\":true}}");
        var expected = whole["choices"]![0]!["logprobs"]!["content"]!.AsArray();
        var streamed = events.Select(part => part["choices"]![0]!["logprobs"]?["content"]?.AsArray()).OfType<JsonArray>().SelectMany(tokens => tokens).ToArray();
        Assert.Equal(12, expected.Count);
        Assert.Equal(expected.Select(token => token!.ToJsonString()), streamed.Select(token => token!.ToJsonString()));
        Assert.Contains(expected, token => (double)token!["logprob"]! < -0.5);
    }

    [Fact]
    public async Task Completions_tell_tokens_scores_alternatives_and_offsets()
    {
        var answer = await _scripted.AskAsync("/v1/completions", """{"prompt":"say a","logprobs":2,"max_tokens":3}""");
        Assert.Equal("Hello there!", (string?)answer["choices"]![0]!["text"]);
        var logprobs = answer["choices"]![0]!["logprobs"]!;
        Assert.Equal("""["Hello"," there","!"]""", logprobs["tokens"]!.ToJsonString());
        Assert.Equal("[0,5,11]", logprobs["text_offset"]!.ToJsonString());
        Assert.Equal(3, logprobs["token_logprobs"]!.AsArray().Count);
        Assert.All(logprobs["top_logprobs"]!.AsArray(), top => Assert.Equal(2, top!.AsObject().Count));
    }

    [Fact]
    public async Task An_echoed_prompt_is_scored_from_its_second_token_on()
    {
        var answer = await _random.AskAsync("/v1/completions", """{"prompt":"Once upon","echo":true,"logprobs":1,"max_tokens":0}""");
        var logprobs = answer["choices"]![0]!["logprobs"]!;
        var scores = logprobs["token_logprobs"]!.AsArray();
        Assert.Equal("Once upon", (string?)answer["choices"]![0]!["text"]);
        Assert.Equal("length", (string?)answer["choices"]![0]!["finish_reason"]);
        Assert.Null(scores[0]);
        Assert.All(scores.Skip(1), score => Assert.InRange((double)score!, -30, 0));
        Assert.Equal(scores.Count, (int)answer["usage"]!["prompt_tokens"]!);
        Assert.Equal(0, (int)answer["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task The_echoed_score_of_a_token_is_that_of_generating_it()
    {
        var made = await _random.AskAsync("/v1/completions", """{"prompt":[256,10,20,30],"temperature":0,"logprobs":0,"max_tokens":1,"ignore_eos":true}""");
        var token = (string)made["choices"]![0]!["logprobs"]!["tokens"]![0]!;
        var id = models.Random.Pipeline.Tokenizer.Encode(token, false, true);
        Assert.SkipUnless(id.Count == 1, "The likeliest token is a part of a character, which text cannot name.");
        var scored = await _random.AskAsync("/v1/completions", $$"""{"prompt":[256,10,20,30,{{id[0]}}],"echo":true,"logprobs":0,"max_tokens":0}""");
        Assert.Equal((double)made["choices"]![0]!["logprobs"]!["token_logprobs"]![0]!,
            (double)scored["choices"]![0]!["logprobs"]!["token_logprobs"]![4]!, 1e-3);
    }
}
