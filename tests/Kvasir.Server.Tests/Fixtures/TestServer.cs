using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Chat;

namespace Kvasir.Server.Tests.Fixtures;

/// <summary>A server on a free port of this machine, and clients for it.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly KvasirEngine? _owned;

    private TestServer(KvasirServer server, KvasirEngine? owned)
    {
        (Server, _owned) = (server, owned);
        // Leaving a stream closes the connection at once instead of reading on for a while.
        Http = new HttpClient(new SocketsHttpHandler { MaxResponseDrainSize = 0, ResponseDrainTimeout = TimeSpan.Zero }) { BaseAddress = server.Address, Timeout = TimeSpan.FromSeconds(30) };
    }

    public KvasirServer Server { get; }

    public HttpClient Http { get; }

    /// <summary>Serves an engine that others use too.</summary>
    public static async Task<TestServer> StartAsync(KvasirEngine? engine, ServerOptions? options = null)
    {
        var server = await KvasirServer.StartAsync((options ?? new ServerOptions()) with { Port = 0 });
        if (engine is not null) server.Attach(engine);
        return new TestServer(server, null);
    }

    /// <summary>Serves several models, which stay the caller's.</summary>
    public static async Task<TestServer> StartSetAsync(ModelSet models, ServerOptions? options, TimeProvider? time = null)
    {
        var server = await KvasirServer.StartAsync((options ?? new ServerOptions()) with { Port = 0 }, time);
        server.Attach(models);
        return new TestServer(server, null);
    }

    /// <summary>Serves an engine and disposes of it.</summary>
    public static async Task<TestServer> OwnAsync(KvasirEngine engine, ServerOptions? options = null)
    {
        var server = await KvasirServer.StartAsync((options ?? new ServerOptions()) with { Port = 0 });
        server.Attach(engine);
        return new TestServer(server, engine);
    }

    /// <summary>OpenAI's official client, which does not try again.</summary>
    public OpenAIClient OpenAI(string key = "none") => new(new ApiKeyCredential(key), new OpenAIClientOptions
    {
        Endpoint = new Uri(Server.Address, "v1"), RetryPolicy = new ClientRetryPolicy(maxRetries: 0), NetworkTimeout = TimeSpan.FromSeconds(30),
    });

    public ChatClient Chat(string model) => OpenAI().GetChatClient(model);

    public Task<HttpResponseMessage> PostAsync(string path, string json, CancellationToken cancel = default) =>
        PostAsync(path, Encoding.UTF8.GetBytes(json), "application/json", cancel);

    public async Task<HttpResponseMessage> PostAsync(string path, byte[] body, string? contentType, CancellationToken cancel = default)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
        if (contentType is not null) request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        return await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
    }

    /// <summary>Posts and expects 200 with a JSON object.</summary>
    public async Task<JsonObject> AskAsync(string path, string json)
    {
        using var response = await PostAsync(path, json);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode}: {text}");
        return JsonNode.Parse(text)!.AsObject();
    }

    /// <summary>Posts and reads the events of a stream that ends with [DONE].</summary>
    public async Task<List<JsonObject>> StreamAsync(string path, string json)
    {
        using var response = await PostAsync(path, json);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode}: {text}");
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        var events = text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("data: [DONE]", events[^1]);
        return [.. events[..^1].Select(line => JsonNode.Parse(line["data: ".Length..])!.AsObject())];
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await Server.DisposeAsync();
        if (_owned is not null) await _owned.DisposeAsync();
    }
}
