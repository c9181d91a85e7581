using System.ComponentModel;
using Kvasir.Server.Tests.Fixtures;
using Microsoft.Extensions.AI;

namespace Kvasir.Server.Tests;

/// <summary>The server as <c>Microsoft.Extensions.AI.OpenAI</c> sees it.</summary>
public sealed class ExtensionsAiTests(Models models) : IAsyncLifetime
{
    private TestServer _server = null!;

    private IChatClient Client => _server.Chat("scripted").AsIChatClient();

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(models.Scripted);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task A_chat_is_answered_with_usage()
    {
        var answer = await Client.GetResponseAsync([new(ChatRole.System, "Be short."), new(ChatRole.User, "a")], new ChatOptions { Temperature = 0, Seed = 1, MaxOutputTokens = 20 });
        Assert.Equal("Hello there!", answer.Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.Equal((13L, 4L, 17L), (answer.Usage!.InputTokenCount, answer.Usage.OutputTokenCount, answer.Usage.TotalTokenCount));
        // How many of them another test's request computed before is a matter of order; the last one never is.
        Assert.InRange(answer.Usage.CachedInputTokenCount!.Value, 0, 12);
        Assert.Equal("scripted", answer.ModelId);
    }

    [Fact]
    public async Task A_stream_gives_the_same_text_and_usage()
    {
        var answer = await Client.GetStreamingResponseAsync("u").ToChatResponseAsync();
        Assert.Equal(Models.Unicode, answer.Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.True(answer.Usage!.OutputTokenCount > 8);
    }

    [Fact]
    public async Task A_function_is_called_and_its_result_goes_back()
    {
        var asked = "";
        var weather = AIFunctionFactory.Create(([Description("the city")] string city) =>
        {
            asked = city;
            // The last character of the result chooses what the model says next.
            return "21 °C a";
        }, "get_weather");
        using var client = Client.AsBuilder().UseFunctionInvocation().Build();
        foreach (var streams in (bool[])[false, true])
        {
            var options = new ChatOptions { Tools = [weather] };
            asked = "";
            var answer = streams
                ? await client.GetStreamingResponseAsync("t", options).ToChatResponseAsync()
                : await client.GetResponseAsync("t", options);
            Assert.Equal("Kraków", asked);
            Assert.Equal(4, answer.Messages.Count + 1);
        }
    }

    [Fact]
    public async Task A_refusal_is_an_exception_with_the_reason()
    {
        var error = await Assert.ThrowsAsync<System.ClientModel.ClientResultException>(() =>
            Client.GetResponseAsync("a", new ChatOptions { ResponseFormat = ChatResponseFormat.Json }));
        Assert.Equal(400, error.Status);
        Assert.Contains("'response_format' can only be 'text'", error.Message, StringComparison.Ordinal);
    }
}
