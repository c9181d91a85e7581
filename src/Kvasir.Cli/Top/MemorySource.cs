using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Kvasir.Protocol.Memory;

namespace Kvasir.Cli.Top;

/// <summary>Asks a server where its memory is.</summary>
internal sealed class MemorySource : IDisposable
{
    private readonly HttpClient http;
    private readonly Uri address;

    /// <param name="address">The server.</param>
    /// <param name="key">Its API key, or null.</param>
    public MemorySource(Uri address, string? key)
    {
        this.address = address;
        http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = address, Timeout = TimeSpan.FromSeconds(30) };
        if (key is not null) http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    /// <summary>Reads an address: a URL, or a host with a port.</summary>
    /// <exception cref="UsageException">It is neither.</exception>
    public static Uri Parse(string text) =>
        Uri.TryCreate(text.Contains("://", StringComparison.Ordinal) ? text : $"http://{text}", UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? address
            : throw new UsageException($"'{text}' is not a server's address; write http://host:port.");

    /// <summary>The state now, as the server wrote it and as it reads.</summary>
    /// <exception cref="CommandException">Nothing listens there, or it is no Kvasir.</exception>
    public async Task<(string Json, MemoryAnswer Memory)> ReadAsync(CancellationToken cancel)
    {
        try
        {
            using var response = await http.GetAsync("v1/memory", cancel);
            var text = await response.Content.ReadAsStringAsync(cancel);
            if (response.IsSuccessStatusCode && JsonSerializer.Deserialize(text, MemoryJson.Wire.MemoryAnswer) is { Object: "memory" } memory) return (text, memory);
            throw new CommandException(response.StatusCode switch
            {
                HttpStatusCode.Unauthorized => $"{address} wants a key: give --api-key.",
                HttpStatusCode.ServiceUnavailable => $"{address} is loading its model, or about to stop; try again in a moment.",
                _ => $"{address} answers /v1/memory with {(int)response.StatusCode}: it is no Kvasir server, or an older one.",
            });
        }
        catch (HttpRequestException error)
        {
            throw new CommandException($"Nothing that can be asked listens at {address}: {error.Message}. Start a server there (kvasir serve --port {address.Port}), or give another address.", error);
        }
        catch (JsonException error)
        {
            throw new CommandException($"{address} answers /v1/memory with something else than a Kvasir server would: {error.Message}", error);
        }
        catch (TaskCanceledException error) when (error.InnerException is TimeoutException)
        {
            throw new CommandException($"{address} did not answer within {http.Timeout.TotalSeconds:0} s.", error);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => http.Dispose();
}
