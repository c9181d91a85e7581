using Kvasir.Engine;
using Microsoft.Extensions.AI;

namespace Kvasir.Embedded.Tests;

/// <summary>A model in this process as <see cref="IChatClient"/>.</summary>
public sealed class KvasirChatClientTests(Models models)
{
    private readonly IChatClient _client = models.Engine.AsChatClient();

    [Fact]
    public async Task A_chat_is_answered_with_text_reason_and_usage()
    {
        var answer = await _client.GetResponseAsync([new(ChatRole.System, "Be short."), new(ChatRole.User, "a")]);
        Assert.Equal(("Hello there!", ChatFinishReason.Stop, "scripted"), (answer.Text, answer.FinishReason, answer.ModelId));
        Assert.Equal((13L, 4L, 17L), (answer.Usage!.InputTokenCount, answer.Usage.OutputTokenCount, answer.Usage.TotalTokenCount));
        Assert.Equal(ChatRole.Assistant, Assert.Single(answer.Messages).Role);
        Assert.NotNull(answer.ResponseId);
        Assert.NotNull(answer.CreatedAt);
    }

    [Fact]
    public async Task A_stream_never_splits_a_character()
    {
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in _client.GetStreamingResponseAsync("u")) updates.Add(update);
        Assert.Equal(Models.Unicode, string.Concat(updates.Select(update => update.Text)));
        Assert.All(updates, update => Assert.DoesNotContain('\uFFFD', update.Text));
        Assert.All(updates, update => Assert.False(update.Text.Length > 0 && (char.IsLowSurrogate(update.Text[0]) || char.IsHighSurrogate(update.Text[^1]))));
    }

    [Fact]
    public async Task Options_bound_and_stop_the_answer()
    {
        var bounded = await _client.GetResponseAsync("l", new ChatOptions { MaxOutputTokens = 4 });
        Assert.Equal(("one two three one ", ChatFinishReason.Length), (bounded.Text, bounded.FinishReason));
        var stopped = await _client.GetResponseAsync("l", new ChatOptions { StopSequences = ["o three"] });
        Assert.Equal(("one tw", ChatFinishReason.Stop), (stopped.Text, stopped.FinishReason));
        var instructed = await _client.GetResponseAsync("a", new ChatOptions { Instructions = "Be short." });
        Assert.Equal(13, instructed.Usage!.InputTokenCount);
    }

    [Fact]
    public async Task Functions_are_called_through_the_usual_middleware()
    {
        var city = "";
        var other = AIFunctionFactory.Create((string anything) => anything, "unused");
        var tool = AIFunctionFactory.Create((string city) => { Capture(city); return "21 °C a"; }, "get_weather");
        using var client = _client.AsBuilder().UseFunctionInvocation().Build();
        var answer = await client.GetResponseAsync("t", new ChatOptions { Tools = [tool, other] });
        Assert.Equal("Kraków", city);
        Assert.Contains(answer.Messages.SelectMany(message => message.Contents), content => content is FunctionCallContent { Name: "get_weather" });

        void Capture(string value) => city = value;
    }

    [Fact]
    public async Task Without_a_tool_mode_calls_are_text()
    {
        var tool = AIFunctionFactory.Create((string city) => city, "get_weather");
        var answer = await _client.GetResponseAsync("t", new ChatOptions { Tools = [tool], ToolMode = ChatToolMode.None });
        Assert.Contains("<tool_call>", answer.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Arguments_that_are_no_object_do_not_break_the_answer()
    {
        var tool = AIFunctionFactory.Create((string city) => city, "odd");
        var answer = await _client.GetResponseAsync("x", new ChatOptions { Tools = [tool] });
        Assert.Single(answer.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>());
    }

    [Fact]
    public async Task Modes_that_force_a_call_are_refused()
    {
        var tool = AIFunctionFactory.Create((string city) => city, "get_weather");
        await Assert.ThrowsAsync<NotSupportedException>(() => _client.GetResponseAsync("a", new ChatOptions { Tools = [tool], ToolMode = ChatToolMode.RequireAny }));
        await Assert.ThrowsAsync<NotSupportedException>(() => _client.GetResponseAsync("a", new ChatOptions { ResponseFormat = ChatResponseFormat.Json }));
        await Assert.ThrowsAsync<NotSupportedException>(() => _client.GetResponseAsync([new(ChatRole.User, [new TextContent("a"), new DataContent("data:image/png;base64,AAAA")])]));
    }

    [Theory]
    [InlineData(-1f, null, "temperature")]
    [InlineData(float.NaN, null, "temperature")]
    [InlineData(null, 2f, "top_p")]
    public async Task Options_out_of_range_are_refused(float? temperature, float? topP, string name)
    {
        var error = await Assert.ThrowsAsync<RequestException>(() => _client.GetResponseAsync("a", new ChatOptions { Temperature = temperature, TopP = topP }));
        Assert.Equal(RefusalKind.Invalid, error.Kind);
        Assert.Contains(name, error.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_prompt_beyond_the_context_is_refused_with_the_numbers()
    {
        var error = await Assert.ThrowsAsync<RequestException>(() => _client.GetResponseAsync(new string('q', 2000)));
        Assert.Equal(RefusalKind.ExceedsContext, error.Kind);
        Assert.Contains("2002 tokens, but the context is 1024", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_reader_that_leaves_frees_its_memory()
    {
        await using var engine = await models.LoadAsync();
        var client = engine.AsChatClient();
        await foreach (var _ in client.GetStreamingResponseAsync("l")) break;
        using var cancel = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in client.GetStreamingResponseAsync("l", cancellationToken: cancel.Token)) await cancel.CancelAsync();
        });
        for (var tries = 0; tries < 500 && engine.Engine.Snapshot().KvBlocksUsed > 0; tries++) await Task.Delay(10);
        Assert.Equal((0, 0), (engine.Engine.Snapshot().KvBlocksUsed, engine.Engine.Snapshot().Running));
    }

    [Fact]
    public void Services_are_found()
    {
        Assert.Equal(("kvasir", "scripted"), (_client.GetService<ChatClientMetadata>()!.ProviderName, _client.GetService<ChatClientMetadata>()!.DefaultModelId));
        Assert.Same(models.Engine, _client.GetService<KvasirEngine>());
        Assert.Null(_client.GetService<string>());
    }

    [Fact]
    public async Task A_template_of_ones_own_is_used()
    {
        await using var engine = await models.LoadAsync(options => options with { ChatTemplate = "{{ messages[0]['content'] }}a", ModelName = "mine" });
        Assert.Equal("Hello there!", (await engine.AsChatClient().GetResponseAsync("whatever")).Text);
        Assert.Equal("mine", engine.Name);
    }
}
