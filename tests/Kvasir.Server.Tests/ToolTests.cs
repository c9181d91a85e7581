using System.Text.Json;
using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;
using OpenAI.Chat;

namespace Kvasir.Server.Tests;

public sealed class ToolTests(Models models) : IAsyncLifetime
{
    private static readonly ChatTool Weather = ChatTool.CreateFunctionTool("get_weather", "Tells the weather.",
        BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"""));

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(models.Scripted);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task A_tool_call_is_taken_out_of_the_text()
    {
        ChatCompletion answer = await _server.Chat("scripted").CompleteChatAsync([new UserChatMessage("t")], new ChatCompletionOptions { Tools = { Weather } });
        Assert.Equal(ChatFinishReason.ToolCalls, answer.FinishReason);
        var call = Assert.Single(answer.ToolCalls);
        Assert.Equal("get_weather", call.FunctionName);
        Assert.Equal("Kraków", JsonDocument.Parse(call.FunctionArguments).RootElement.GetProperty("city").GetString());
        Assert.StartsWith("call_", call.Id, StringComparison.Ordinal);
        Assert.Equal("Let me see. ", answer.Content[0].Text);
    }

    [Fact]
    public async Task A_streamed_tool_call_comes_whole_with_the_reason()
    {
        var updates = new List<StreamingChatCompletionUpdate>();
        await foreach (var update in _server.Chat("scripted").CompleteChatStreamingAsync([new UserChatMessage("j")], new ChatCompletionOptions { Tools = { Weather } }))
            updates.Add(update);
        var call = Assert.Single(updates.SelectMany(update => update.ToolCallUpdates));
        Assert.Equal(("get_time", "{}", 0), (call.FunctionName, call.FunctionArgumentsUpdate.ToString(), call.Index));
        Assert.Equal(ChatFinishReason.ToolCalls, Assert.Single(updates, update => update.FinishReason is not null).FinishReason);
        Assert.Equal("", string.Concat(updates.SelectMany(update => update.ContentUpdate).Select(part => part.Text)));
    }

    [Fact]
    public async Task Without_tools_and_with_none_chosen_a_call_is_text()
    {
        var silent = await _server.AskAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"j"}]}""");
        Assert.Equal("""{"name": "get_time", "parameters": {}}""", (string?)silent["choices"]![0]!["message"]!["content"]);
        ChatCompletion none = await _server.Chat("scripted").CompleteChatAsync([new UserChatMessage("j")],
            new ChatCompletionOptions { Tools = { Weather }, ToolChoice = ChatToolChoice.CreateNoneChoice() });
        Assert.Equal(ChatFinishReason.Stop, none.FinishReason);
        Assert.Empty(none.ToolCalls);
    }

    [Fact]
    public async Task Calls_and_results_go_back_to_the_template()
    {
        var call = ChatToolCall.CreateFunctionToolCall("call_1", "get_weather", BinaryData.FromString("""{"city":"Kraków"}"""));
        ChatCompletion answer = await _server.Chat("scripted").CompleteChatAsync(
            [new UserChatMessage("t"), new AssistantChatMessage([call]), new ToolChatMessage("call_1", "21 °C: a")], new ChatCompletionOptions { Tools = { Weather } });
        Assert.Equal("Hello there!", answer.Content[0].Text);
    }

    [Fact]
    public async Task Tools_reach_the_prompt()
    {
        const string messages = """
            "messages":[{"role":"user","content":"a"}]
            """;
        JsonNode without = await _server.AskAsync("/tokenize", $"{{{messages}}}");
        JsonNode with = await _server.AskAsync("/tokenize", $"{{{messages},\"tools\":[{{\"type\":\"function\",\"function\":{{\"name\":\"f\"}}}}]}}");
        Assert.True((int)with["count"]! > (int)without["count"]!);
    }
}
