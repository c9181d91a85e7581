using Kvasir.Adapters;

namespace Kvasir.Gateway.Fleet;

/// <summary>What configuration says about a worker.</summary>
public sealed record WorkerAddress
{
    /// <summary>The name in logs, metrics and headers.</summary>
    public required string Name { get; init; }
    /// <summary>Where it listens: <c>http://10.0.0.1:8000</c>.</summary>
    public required Uri Address { get; init; }
    /// <summary>What runs there; null asks the worker.</summary>
    public EngineKind? Engine { get; init; }
    /// <summary>The model it serves; null asks the worker.</summary>
    public string? Model { get; init; }
    /// <summary>Key that requests to it carry; null passes the client's on.</summary>
    public string? ApiKey { get; init; }
    /// <summary>Where its metrics are; null for where its engine has them.</summary>
    public Uri? Metrics { get; init; }
    /// <summary>Where it publishes cache events, <c>tcp://10.0.0.1:5557</c>, or where they are asked for, <c>http://10.0.0.1:8000/kv_cache_events</c>; null for none.</summary>
    public string? KvEvents { get; init; }
    /// <summary>Where lost events may be asked for, or null.</summary>
    public string? KvReplay { get; init; }
    /// <summary>Data-parallel ranks that publish events, each on a port of its own.</summary>
    public int DataParallelRanks { get; init; } = 1;
    /// <summary>Tokens that its KV cache holds; null asks the worker.</summary>
    public long? CapacityTokens { get; init; }

    /// <summary>Reads <c>vllm=http://a:8000</c> or <c>http://a:8000</c>.</summary>
    /// <exception cref="GatewayConfigurationException">It is not an address.</exception>
    public static WorkerAddress Parse(string text)
    {
        var separator = text.IndexOf("=http", StringComparison.OrdinalIgnoreCase);
        EngineKind? engine = null;
        var address = text;
        if (separator > 0)
        {
            engine = (EngineAdapter.Named(text[..separator])
                ?? throw new GatewayConfigurationException($"'{text[..separator]}' in worker '{text}' is not an engine; choose among {string.Join(", ", EngineAdapter.KnownNames)}.")).Kind;
            address = text[(separator + 1)..];
        }
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
            throw new GatewayConfigurationException($"Worker '{text}' is not an address; write http://host:port or vllm=http://host:port.");
        return new WorkerAddress { Name = uri.Authority, Address = new Uri(uri.GetLeftPart(UriPartial.Authority)), Engine = engine };
    }
}
