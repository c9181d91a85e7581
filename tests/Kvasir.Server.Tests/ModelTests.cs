using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;
using OpenAI.Models;

namespace Kvasir.Server.Tests;

/// <summary>What belongs to the model: its card, tokens to text and back.</summary>
public sealed class ModelTests(Models models) : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(models.Scripted);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task The_model_is_listed_with_its_context()
    {
        OpenAIModelCollection list = await _server.OpenAI().GetOpenAIModelClient().GetModelsAsync();
        Assert.Equal(("scripted", "kvasir"), (Assert.Single(list).Id, list[0].OwnedBy));
        var card = JsonNode.Parse(await _server.Http.GetStringAsync("/v1/models/scripted"))!;
        Assert.Equal(("scripted", "model", 8192), ((string?)card["id"], (string?)card["object"], (int)card["max_model_len"]!));
    }

    [Fact]
    public async Task A_model_answers_to_each_of_its_names()
    {
        await using var server = await TestServer.StartAsync(models.Scripted, new ServerOptions { ServedModelNames = ["org/first", "second"] });
        OpenAIModelCollection list = await server.OpenAI().GetOpenAIModelClient().GetModelsAsync();
        Assert.Equal(["org/first", "second"], list.Select(model => model.Id));
        Assert.Equal("org/first", (string?)JsonNode.Parse(await server.Http.GetStringAsync("/v1/models/org/first"))!["id"]);
        OpenAI.Chat.ChatCompletion answer = await server.Chat("second").CompleteChatAsync([new OpenAI.Chat.UserChatMessage("a")]);
        Assert.Equal("org/first", answer.Model);
        Assert.Equal(404, (int)(await server.Http.GetAsync("/v1/models/scripted")).StatusCode);
    }

    [Theory]
    [InlineData("Zażółć gęślą 😀 the end")]
    [InlineData("")]
    [InlineData("line\nbreak\ttab \u0000 nul")]
    public async Task Text_survives_the_way_to_tokens_and_back(string text)
    {
        var tokens = await _server.AskAsync("/tokenize", new JsonObject { ["prompt"] = text, ["add_special_tokens"] = false }.ToJsonString());
        Assert.Equal((int)tokens["count"]!, tokens["tokens"]!.AsArray().Count);
        Assert.Equal(8192, (int)tokens["max_model_len"]!);
        var back = await _server.AskAsync("/detokenize", new JsonObject { ["tokens"] = tokens["tokens"]!.DeepClone() }.ToJsonString());
        Assert.Equal(text, (string?)back["prompt"]);
    }

    [Fact]
    public async Task A_prompt_gets_the_models_own_tokens_and_shows_their_texts()
    {
        var tokens = await _server.AskAsync("/tokenize", """{"prompt":"hi<|end|>","return_token_strs":true}""");
        Assert.Equal("[256,104,105,257]", tokens["tokens"]!.ToJsonString());
        Assert.Equal("<|begin|>", (string?)tokens["token_strs"]![0]);
        Assert.Equal("<|end|>", (string?)tokens["token_strs"]![3]);
    }

    [Fact]
    public async Task Messages_are_rendered_as_a_chat_would_be()
    {
        const string messages = """[{"role":"user","content":"a"}]""";
        var tokens = await _server.AskAsync("/tokenize", $"{{\"messages\":{messages}}}");
        var answer = await _server.AskAsync("/v1/chat/completions", $"{{\"messages\":{messages}}}");
        Assert.Equal((int)answer["usage"]!["prompt_tokens"]!, (int)tokens["count"]!);
        Assert.Equal("[256,259,97]", tokens["tokens"]!.ToJsonString());
    }

    [Theory]
    [InlineData("/tokenize", "{}", "prompt", "missing_required_parameter")]
    [InlineData("/tokenize", """{"prompt":[]}""", "prompt", "invalid_type")]
    [InlineData("/tokenize", """{"prompt":"a","add_special_tokens":2}""", "add_special_tokens", "invalid_type")]
    [InlineData("/detokenize", "{}", "tokens", "missing_required_parameter")]
    [InlineData("/detokenize", """{"tokens":"a"}""", "tokens", "invalid_type")]
    [InlineData("/detokenize", """{"tokens":[1,"a"]}""", "tokens[1]", "invalid_type")]
    [InlineData("/detokenize", """{"tokens":[99999]}""", "tokens[0]", "invalid_value")]
    [InlineData("/detokenize", """{"tokens":[-1]}""", "tokens[0]", "invalid_value")]
    public async Task What_is_wrong_is_named(string path, string body, string param, string code)
    {
        using var response = await _server.PostAsync(path, body);
        var error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal((400, param, code), ((int)response.StatusCode, (string?)error["param"], (string?)error["code"]));
    }
}
