using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Kvasir.Cli.Load;

/// <summary>How to reach a server.</summary>
/// <param name="Label">What results call it.</param>
/// <param name="Address">Base address, without <c>/v1</c>.</param>
/// <param name="ProcessId">Its process on this machine, where known.</param>
internal sealed record ServerAddress(string Label, Uri Address, int? ProcessId)
{
    /// <summary>Reads <c>http://host:port</c> or <c>name=http://host:port</c>.</summary>
    /// <exception cref="UsageException">It is not an address.</exception>
    public static ServerAddress Parse(string text, int? processId)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        var isNamed = equals > 0 && text.IndexOf("://", StringComparison.Ordinal) > equals;
        var url = isNamed ? text[(equals + 1)..] : text;
        if (!Uri.TryCreate(url.TrimEnd('/') + "/", UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
            throw new UsageException($"'{text}' is not a server's address; write http://host:port, or name=http://host:port.");
        if (address.AbsolutePath.EndsWith("/v1/", StringComparison.Ordinal)) address = new Uri(address, "../");
        return new(isNamed ? text[..equals] : address.Authority, address, processId);
    }
}

/// <summary>How requests are put.</summary>
/// <param name="Model">Model to ask for; null takes the server's first.</param>
/// <param name="ApiKey">Key; null for none.</param>
/// <param name="IsChat">Chat completions instead of completions.</param>
/// <param name="Temperature">Sampling temperature.</param>
/// <param name="IgnoreEos">Ask for answers of full length where the server can.</param>
/// <param name="Timeout">Longest time of one request.</param>
internal sealed record RequestForm(string? Model, string? ApiKey, bool IsChat, double Temperature, bool IgnoreEos, TimeSpan Timeout);

/// <summary>
/// A server that speaks OpenAI's protocol, and what was found out about it: its model, whether it tokenizes
/// (<c>/tokenize</c> as vLLM's and Kvasir's, or as llama.cpp's), and whether it takes <c>ignore_eos</c>.
/// </summary>
internal sealed class ServerUnderTest : IDisposable
{
    private const int ProbeTokens = 4;

    private ServerUnderTest(ServerAddress address, RequestForm form, HttpClient http) => (Address, Form, Http) = (address, form, http);

    /// <summary>Where it is.</summary>
    public ServerAddress Address { get; }

    /// <summary>How requests are put.</summary>
    public RequestForm Form { get; private set; }

    /// <summary>The connection.</summary>
    public HttpClient Http { get; }

    /// <summary>The model asked for.</summary>
    public string Model { get; private set; } = "";

    /// <summary>Who the server says it is: "kvasir", "llamacpp", "vllm".</summary>
    public string Owner { get; private set; } = "";

    /// <summary>Whether <c>/tokenize</c> answers.</summary>
    public bool CanTokenize { get; private set; }

    /// <summary>Whether answers have the length asked for.</summary>
    public bool IgnoresEos { get; private set; }

    /// <summary>Whether streams end with their usage.</summary>
    public bool TellsUsage { get; private set; } = true;

    /// <summary>Connects, asks for the model and makes one short request, which also warms the server up.</summary>
    /// <exception cref="CommandException">The server is not there or does not answer as OpenAI's does.</exception>
    public static async Task<ServerUnderTest> ConnectAsync(ServerAddress address, RequestForm form, TimeProvider time, CancellationToken cancel)
    {
        var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = int.MaxValue, UseProxy = false, PooledConnectionIdleTimeout = TimeSpan.FromSeconds(20) })
        {
            BaseAddress = address.Address, Timeout = Timeout.InfiniteTimeSpan,
        };
        if (form.ApiKey is { } key) http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        var server = new ServerUnderTest(address, form, http);
        try
        {
            await server.IdentifyAsync(cancel);
            await server.ProbeAsync(time, cancel);
            server.CanTokenize = await server.TryTokenizeAsync("one two three", cancel) is { Count: > 0 };
            return server;
        }
        catch (Exception error) when (error is HttpRequestException or JsonException)
        {
            http.Dispose();
            throw new CommandException($"{address.Address} does not answer as an OpenAI-compatible server: {error.Message}", error);
        }
        catch
        {
            http.Dispose();
            throw;
        }
    }

    /// <summary>A request's body.</summary>
    public JsonObject Body(Transcript transcript, int outputTokens)
    {
        var body = new JsonObject
        {
            ["model"] = Model, ["max_tokens"] = outputTokens, ["temperature"] = Form.Temperature, ["stream"] = true,
        };
        if (Form.IsChat) body["messages"] = transcript.Messages();
        else body["prompt"] = transcript.Text();
        if (TellsUsage) body["stream_options"] = new JsonObject { ["include_usage"] = true };
        if (IgnoresEos) body["ignore_eos"] = true;
        return body;
    }

    /// <summary>Token ids of a text, or null where the server does not tokenize.</summary>
    public async Task<List<int>?> TryTokenizeAsync(string text, CancellationToken cancel)
    {
        // vLLM and Kvasir read "prompt", llama.cpp "content"; each ignores the other's.
        var body = new JsonObject { ["model"] = Model, ["prompt"] = text, ["content"] = text, ["add_special_tokens"] = false };
        using var response = await Http.PostAsJsonAsync("tokenize", body, cancel);
        if (!response.IsSuccessStatusCode) return null;
        try
        {
            using var json = await JsonDocument.ParseAsync(await response.Content.ReadAsStreamAsync(cancel), cancellationToken: cancel);
            return json.RootElement.TryGetProperty("tokens", out var tokens) && tokens.ValueKind == JsonValueKind.Array ? [.. tokens.EnumerateArray().Select(id => id.GetInt32())] : null;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    /// <summary>Counts a text's tokens.</summary>
    /// <exception cref="CommandException">The server stopped tokenizing.</exception>
    public async Task<int> CountAsync(string text, CancellationToken cancel) =>
        (await TryTokenizeAsync(text, cancel) ?? throw new CommandException($"{Address.Label} no longer answers /tokenize.")).Count;

    /// <inheritdoc/>
    public void Dispose() => Http.Dispose();

    private async Task IdentifyAsync(CancellationToken cancel)
    {
        using var response = await Http.GetAsync("v1/models", cancel);
        if ((int)response.StatusCode == 401) throw new CommandException($"{Address.Address} wants a key: give --api-key.");
        response.EnsureSuccessStatusCode();
        using var json = await JsonDocument.ParseAsync(await response.Content.ReadAsStreamAsync(cancel), cancellationToken: cancel);
        var first = json.RootElement.TryGetProperty("data", out var data) && data.ValueKind == JsonValueKind.Array ? data.EnumerateArray().FirstOrDefault() : default;
        Model = Form.Model ?? Text(first, "id") ?? throw new CommandException($"{Address.Address} names no model; give --model.");
        Owner = Text(first, "owned_by") ?? "";
    }

    /// <summary>Finds out which of the fields that not every server knows this one takes.</summary>
    private async Task ProbeAsync(TimeProvider time, CancellationToken cancel)
    {
        IgnoresEos = Form.IgnoreEos;
        var transcript = new Transcript("").With("Say one word.");
        var outcome = await StreamedRequest.SendAsync(this, transcript, ProbeTokens, time, time.GetTimestamp(), cancel);
        if (outcome.Status == 400 && IgnoresEos)
        {
            IgnoresEos = false;
            outcome = await StreamedRequest.SendAsync(this, transcript, ProbeTokens, time, time.GetTimestamp(), cancel);
        }
        if (outcome.Status == 400)
        {
            TellsUsage = false;
            outcome = await StreamedRequest.SendAsync(this, transcript, ProbeTokens, time, time.GetTimestamp(), cancel);
        }
        if (outcome.Error is { } error) throw new CommandException($"{Address.Label} refuses a first request: {error}");
    }

    private static string? Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
