using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;
using OpenAI.Chat;

namespace Kvasir.Server.Tests;

/// <summary>Every wrong request gets OpenAI's error body, with the field, the code and a sentence that says what was expected.</summary>
public sealed class ErrorTests(Models models) : IAsyncLifetime
{
    private const string Chat = "/v1/chat/completions", Text = "/v1/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(models.Scripted, new ServerOptions { MaxBodyBytes = 1 << 20 });

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    /// <summary>Fields of both routes: JSON, status, param, code, a part of the message.</summary>
    public static TheoryData<string, string, string, string> SharedFields => new()
    {
        { "\"model\":7", "model", "invalid_type", "expected a string, but got a number" },
        { "\"temperature\":\"hot\"", "temperature", "invalid_type", "expected a number, but got a string" },
        { "\"temperature\":2.5", "temperature", "invalid_value", "2.5 is not between 0 and 2" },
        { "\"temperature\":-1", "temperature", "invalid_value", "between 0 and 2" },
        { "\"temperature\":1e999", "temperature", "invalid_value", "between 0 and 2" },
        { "\"top_p\":0", "top_p", "invalid_value", "above 0" },
        { "\"top_p\":1.1", "top_p", "invalid_value", "between 0 and 1" },
        { "\"top_k\":1.5", "top_k", "invalid_value", "1.5 is not an integer" },
        { "\"top_k\":-2", "top_k", "invalid_value", "-2" },
        { "\"min_p\":2", "min_p", "invalid_value", "between 0 and 1" },
        { "\"typical_p\":-0.1", "typical_p", "invalid_value", "between 0 and 1" },
        { "\"repetition_penalty\":0", "repetition_penalty", "invalid_value", "above 0" },
        { "\"presence_penalty\":-3", "presence_penalty", "invalid_value", "between -2 and 2" },
        { "\"frequency_penalty\":[]", "frequency_penalty", "invalid_type", "got an array" },
        { "\"seed\":\"x\"", "seed", "invalid_type", "expected an integer" },
        { "\"seed\":99999999999999999999", "seed", "invalid_value", "99999999999999999999" },
        { "\"max_tokens\":-1", "max_tokens", "invalid_value", "-1" },
        { "\"max_tokens\":\"many\"", "max_tokens", "invalid_type", "expected an integer" },
        { "\"max_completion_tokens\":3000000000", "max_completion_tokens", "invalid_value", "3000000000" },
        { "\"n\":0", "n", "invalid_value", "0 is not between 1 and 128" },
        { "\"n\":129", "n", "invalid_value", "129" },
        { "\"n\":true", "n", "invalid_type", "got a boolean" },
        { "\"stop\":5", "stop", "invalid_type", "a string or an array of strings" },
        { "\"stop\":[\"a\",5]", "stop[1]", "invalid_type", "expected a string" },
        { "\"stop\":\"\"", "stop", "invalid_value", "0 characters" },
        { "\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]", "stop", "invalid_value", "17 strings" },
        { "\"stop_token_ids\":[-1]", "stop_token_ids[0]", "invalid_value", "-1" },
        { "\"stop_token_ids\":[100000]", "stop_token_ids", "invalid_value", "token 100000 is not between 0 and" },
        { "\"logit_bias\":[]", "logit_bias", "invalid_type", "expected an object" },
        { "\"logit_bias\":{\"x\":1}", "logit_bias.x", "invalid_value", "'x' is not a token id" },
        { "\"logit_bias\":{\"5\":101}", "logit_bias.5", "invalid_value", "between -100 and 100" },
        { "\"logit_bias\":{\"5\":\"a\"}", "logit_bias.5", "invalid_type", "expected a number" },
        { "\"logit_bias\":{\"999999\":1}", "logit_bias", "invalid_value", "token 999999" },
        { "\"stream\":\"yes\"", "stream", "invalid_type", "expected a boolean" },
        { "\"stream\":true,\"stream_options\":[]", "stream_options", "invalid_type", "expected an object" },
        { "\"stream\":true,\"stream_options\":{\"include_usage\":1}", "stream_options.include_usage", "invalid_type", "expected a boolean" },
        { "\"stream_options\":{\"include_usage\":true}", "stream_options", "invalid_value", "only allowed when 'stream' is true" },
        { "\"response_format\":{\"type\":\"json_object\"}", "response_format", "unsupported_parameter", "not constrained to JSON" },
        { "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{}}", "response_format", "unsupported_parameter", "not constrained to JSON" },
        { "\"response_format\":{}", "response_format.type", "missing_required_parameter", "type" },
        { "\"guided_json\":{\"type\":\"object\"}", "guided_json", "unsupported_parameter", "guided_json" },
        { "\"use_beam_search\":true", "use_beam_search", "unsupported_parameter", "use_beam_search" },
        { "\"min_tokens\":3", "min_tokens", "unsupported_parameter", "min_tokens" },
        { "\"stop\":\"\\ud800\"", "stop", "invalid_value", "lone surrogate" },
    };

    /// <summary>Fields of chat completions alone; the messages are part of the row.</summary>
    public static TheoryData<string, string?, string, string> ChatBodies => new()
    {
        { "{}", "messages", "missing_required_parameter", "Missing required parameter: 'messages'" },
        { """{"messages":null}""", "messages", "missing_required_parameter", "messages" },
        { """{"messages":"hi"}""", "messages", "invalid_type", "expected an array, but got a string" },
        { """{"messages":[]}""", "messages", "invalid_value", "at least one message" },
        { """{"messages":["hi"]}""", "messages[0]", "invalid_type", "expected an object" },
        { """{"messages":[{"content":"x"}]}""", "messages[0].role", "missing_required_parameter", "role" },
        { """{"messages":[{"role":"user"}]}""", "messages[0].content", "missing_required_parameter", "content" },
        { """{"messages":[{"role":"wizard","content":"x"}]}""", "messages[0].role", "invalid_value", "'wizard' is not one of system" },
        { """{"messages":[{"role":"user","content":5}]}""", "messages[0].content", "invalid_type", "a string or an array" },
        { """{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}""", "messages[0].content[0].type", "unsupported_parameter", "text alone" },
        { """{"messages":[{"role":"user","content":[{"type":"text"}]}]}""", "messages[0].content[0].text", "missing_required_parameter", "text" },
        { """{"messages":[{"role":"user","content":"\udc00"}]}""", "messages[0].content", "invalid_value", "lone surrogate" },
        { """{"messages":[{"role":"assistant","tool_calls":[{"id":"1"}]}]}""", "messages[0].tool_calls[0].function", "missing_required_parameter", "function" },
        { """{"messages":[{"role":"user","content":"refuse me"}]}""", "messages", "chat_template_error", "Not in this house." },
        { Ask("\"max_tokens\":0"), "max_tokens", "invalid_value", "0" },
        { Ask("\"logprobs\":3"), "logprobs", "invalid_type", "expected a boolean" },
        { Ask("\"top_logprobs\":3"), "top_logprobs", "invalid_value", "only allowed when 'logprobs' is true" },
        { Ask("\"logprobs\":true,\"top_logprobs\":21"), "top_logprobs", "invalid_value", "between 0 and 20" },
        { Ask("\"tools\":{}"), "tools", "invalid_type", "expected an array" },
        { Ask("\"tools\":[{\"type\":\"function\"}]"), "tools[0].function", "missing_required_parameter", "function" },
        { Ask("\"tools\":[{\"type\":\"function\",\"function\":{}}]"), "tools[0].function.name", "missing_required_parameter", "name" },
        { Ask("\"tools\":[{\"type\":\"web\"}]"), "tools[0].type", "unsupported_parameter", "only 'function'" },
        { Ask("\"tool_choice\":\"required\""), "tool_choice", "unsupported_parameter", "'auto' or 'none'" },
        { Ask("\"tool_choice\":\"maybe\""), "tool_choice", "invalid_value", "'auto' or 'none'" },
        { Ask("\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"), "tool_choice", "unsupported_parameter", "cannot force" },
        { Ask("\"continue_final_message\":true"), "continue_final_message", "unsupported_parameter", "continue_final_message" },
        { Ask("\"functions\":[]"), "functions", "unsupported_parameter", "use 'tools'" },
        { Ask("\"modalities\":[\"audio\"]"), "modalities", "unsupported_parameter", "text" },
        { Ask("\"chat_template\":\"x\""), "chat_template", "unsupported_parameter", "chat_template" },
        { Ask("\"chat_template_kwargs\":[]"), "chat_template_kwargs", "invalid_type", "expected an object" },
    };

    /// <summary>Fields of completions alone.</summary>
    public static TheoryData<string, string?, string, string> TextBodies => new()
    {
        { "{}", "prompt", "missing_required_parameter", "prompt" },
        { """{"prompt":5}""", "prompt", "invalid_type", "a string, an array of strings" },
        { """{"prompt":[]}""", "prompt", "invalid_value", "empty" },
        { """{"prompt":[[]]}""", "prompt[0]", "invalid_value", "empty" },
        { """{"prompt":["a",5]}""", "prompt[1]", "invalid_type", "expected a string" },
        { """{"prompt":[97,"a"]}""", "prompt[1]", "invalid_type", "expected an integer" },
        { """{"prompt":[[97],[-4]]}""", "prompt[1][0]", "invalid_value", "-4" },
        { """{"prompt":[1000000]}""", "prompt", "invalid_value", "1000000" },
        { """{"prompt":"","add_special_tokens":false}""", "prompt", "invalid_value", "no tokens" },
        { """{"prompt":"a","suffix":"b"}""", "suffix", "unsupported_parameter", "not filled in" },
        { """{"prompt":"a","best_of":2}""", "best_of", "unsupported_parameter", "must equal 'n'" },
        { """{"prompt":"a","echo":"yes"}""", "echo", "invalid_type", "expected a boolean" },
        { """{"prompt":"a","logprobs":true}""", "logprobs", "invalid_type", "expected an integer" },
        { """{"prompt":"a","logprobs":21}""", "logprobs", "invalid_value", "between 0 and 20" },
    };

    private static string Ask(string field) => $"{{\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}],{field}}}";

    [Theory]
    [MemberData(nameof(SharedFields))]
    public async Task A_wrong_field_is_named(string field, string param, string code, string message)
    {
        await RefusedAsync(Chat, Ask(field), 400, param, code, message);
        await RefusedAsync(Text, $"{{\"prompt\":\"a\",{field}}}", 400, param, code, message);
    }

    [Theory]
    [MemberData(nameof(ChatBodies))]
    public Task A_wrong_chat_is_refused(string body, string? param, string code, string message) => RefusedAsync(Chat, body, 400, param, code, message);

    [Theory]
    [MemberData(nameof(TextBodies))]
    public Task A_wrong_completion_is_refused(string body, string? param, string code, string message) => RefusedAsync(Text, body, 400, param, code, message);

    [Theory]
    [InlineData("", "The body is empty")]
    [InlineData("hello", "not valid JSON: line 1, byte 1")]
    [InlineData("{\"messages\":[}", "not valid JSON")]
    [InlineData("[1]", "The body is an array; a JSON object was expected")]
    [InlineData("null", "The body is null")]
    [InlineData("{\"a\":1}{}", "not valid JSON")]
    public async Task A_body_that_is_not_a_json_object_is_refused(string body, string message)
    {
        foreach (var path in (string[])[Chat, Text, "/tokenize", "/detokenize"]) await RefusedAsync(path, body, 400, null, "invalid_json", message);
    }

    [Fact]
    public Task What_asks_for_nothing_is_no_error() => _server.AskAsync(Chat, Ask(
        "\"n\":null,\"stop\":null,\"tools\":[],\"tool_choice\":\"auto\",\"response_format\":{\"type\":\"text\"},\"use_beam_search\":false,\"min_tokens\":0,"
        + "\"bad_words\":[],\"user\":\"u\",\"metadata\":{},\"store\":false,\"parallel_tool_calls\":true,\"service_tier\":\"auto\",\"unknown\":1"));

    [Fact]
    public async Task Bytes_that_are_not_utf8_and_nests_without_end_are_refused()
    {
        await RefusedAsync(Chat, [.. "{\"messages\":\""u8, 0xff, .. "\"}"u8], 400, null, "invalid_json", "not valid UTF-8");
        await RefusedAsync(Chat, $"{{\"messages\":{new string('[', 100_000)}", 400, null, "invalid_json", "depth of 64");
    }

    [Fact]
    public async Task A_model_that_is_not_here_is_a_404_that_names_those_that_are()
    {
        await RefusedAsync(Chat, Ask("\"model\":\"gpt-9\""), 404, "model", "model_not_found", "'gpt-9' does not exist here. Available: scripted.");
        await RefusedAsync(Text, """{"prompt":"a","model":"gpt-9"}""", 404, "model", "model_not_found", "gpt-9");
        await RefusedAsync("/tokenize", """{"prompt":"a","model":"gpt-9"}""", 404, "model", "model_not_found", "gpt-9");
    }

    [Fact]
    public async Task A_prompt_beyond_the_context_is_refused_with_the_numbers()
    {
        await RefusedAsync(Chat, Ask($"\"user\":\"x\"").Replace("\"a\"", $"\"{new string('x', 9000)}\"", StringComparison.Ordinal), 400,
            "messages", "context_length_exceeded", "The prompt has 9002 tokens, but the context is 8192.");
        await RefusedAsync(Text, $"{{\"prompt\":\"{new string('x', 8192)}\",\"max_tokens\":1}}", 400,
            "prompt", "context_length_exceeded", "The prompt has 8193 tokens, but the context is 8192.");
    }

    [Fact]
    public async Task A_body_beyond_the_bound_is_a_413_declared_or_not()
    {
        var body = Encoding.UTF8.GetBytes(Ask($"\"user\":\"{new string('x', 1 << 20)}\""));
        await RefusedAsync(Chat, body, 413, null, "request_too_large", "1048576 bytes");
        using var request = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = new StreamContent(new MemoryStream(body)) };
        request.Content.Headers.ContentType = new("application/json");
        request.Headers.TransferEncodingChunked = true;
        using var response = await _server.Http.SendAsync(request);
        Assert.Equal(413, (int)response.StatusCode);
    }

    [Fact]
    public async Task A_large_body_within_the_bound_is_read()
    {
        var answer = await _server.AskAsync(Chat, Ask($"\"user\":\"{new string('x', 1_000_000)}\""));
        Assert.Equal("Hello there!", (string?)answer["choices"]![0]!["message"]!["content"]);
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData(null)]
    public async Task Another_content_type_is_a_415(string? type)
    {
        using var response = await _server.PostAsync(Chat, Encoding.UTF8.GetBytes(Ask("\"n\":1")), type);
        await CheckAsync(response, 415, null, "unsupported_media_type", "expected application/json");
    }

    [Theory]
    [InlineData("GET", "/v1/nothing", 404, "unknown_url", "Unknown request URL: GET /v1/nothing")]
    [InlineData("POST", "/chat/completions", 404, "unknown_url", "POST /v1/chat/completions")]
    [InlineData("GET", Chat, 405, "method_not_allowed", "use POST")]
    [InlineData("DELETE", Text, 405, "method_not_allowed", "DELETE is not allowed")]
    [InlineData("POST", "/v1/models", 405, "method_not_allowed", "use GET")]
    [InlineData("GET", "/v1/models/other/name", 404, "model_not_found", "'other/name' does not exist")]
    public async Task A_wrong_route_or_method_says_what_is_right(string method, string path, int status, string code, string message)
    {
        using var response = await _server.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));
        await CheckAsync(response, status, code == "model_not_found" ? "model" : null, code, message);
        if (status == 405) Assert.NotEmpty(response.Content.Headers.Allow);
    }

    [Fact]
    public async Task The_official_client_shows_the_message()
    {
        var error = await Assert.ThrowsAsync<System.ClientModel.ClientResultException>(() => _server.Chat("gpt-9").CompleteChatAsync([new UserChatMessage("a")]));
        Assert.Equal(404, error.Status);
        Assert.Contains("does not exist here", error.Message, StringComparison.Ordinal);
        Assert.Contains("model_not_found", error.Message, StringComparison.Ordinal);
    }

    private Task RefusedAsync(string path, string body, int status, string? param, string code, string message) =>
        RefusedAsync(path, Encoding.UTF8.GetBytes(body), status, param, code, message);

    private async Task RefusedAsync(string path, byte[] body, int status, string? param, string code, string message)
    {
        using var response = await _server.PostAsync(path, body, "application/json; charset=utf-8");
        await CheckAsync(response, status, param, code, message);
    }

    private static async Task CheckAsync(HttpResponseMessage response, int status, string? param, string code, string message)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True((HttpStatusCode)status == response.StatusCode, $"{(int)response.StatusCode}, expected {status}: {text}");
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        var error = Assert.IsType<JsonObject>(JsonNode.Parse(text)!["error"]);
        Assert.Equal(["message", "type", "param", "code"], error.Select(member => member.Key));
        Assert.Contains(message, (string?)error["message"], StringComparison.Ordinal);
        Assert.Equal((param, code, "invalid_request_error"), ((string?)error["param"], (string?)error["code"], (string?)error["type"]));
        Assert.StartsWith("req_", response.Headers.GetValues("x-request-id").Single(), StringComparison.Ordinal);
    }
}
