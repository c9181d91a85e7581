using System.Collections.Immutable;

namespace Kvasir.Server;

/// <summary>How the HTTP server behaves.</summary>
public sealed record ServerOptions
{
    /// <summary>Address to listen on: an IP address, or <c>localhost</c>.</summary>
    public string Host { get; init; } = "127.0.0.1";
    /// <summary>TCP port; 0 takes a free one.</summary>
    public int Port { get; init; } = 8080;
    /// <summary>Keys of which a request must carry one as <c>Authorization: Bearer …</c>; empty for none.</summary>
    public ImmutableArray<string> ApiKeys { get; init; } = [];
    /// <summary>Tokens, of prompts and answers, that a tenant may use per minute; 0 for any number.</summary>
    public long TenantTokensPerMinute { get; init; }
    /// <summary>Header by which a trusted proxy tells apart those who share an API key; null for none.</summary>
    public string? TenantHeader { get; init; }
    /// <summary>The lowest priority number that requests may ask for; lower ones count as it.</summary>
    public int LeastPriority { get; init; } = -1000;
    /// <summary>Names the model answers to, the first being its own; with several models, a name for each in order. Empty for the checkpoints' names.</summary>
    public ImmutableArray<string> ServedModelNames { get; init; } = [];
    /// <summary>Origins that browsers may call from; <c>*</c> for any; empty for none.</summary>
    public ImmutableArray<string> CorsOrigins { get; init; } = [];
    /// <summary>Largest request body, in bytes.</summary>
    public long MaxBodyBytes { get; init; } = 4 << 20;
    /// <summary>How long running answers may take to finish once the server was asked to stop.</summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(30);
    /// <summary>How long a request waits for a model that sleeps to get its turn.</summary>
    public TimeSpan ModelWait { get; init; } = TimeSpan.FromSeconds(120);
    /// <summary>How long a model that others wait for takes new requests at least after it woke.</summary>
    public TimeSpan LeastTurn { get; init; } = TimeSpan.FromSeconds(2);
    /// <summary>How long, within its turn, a model without requests stays awake at least while others wait for theirs.</summary>
    public TimeSpan LeastLinger { get; init; }
    /// <summary>Silence on a stream after which a comment is sent, so that proxies keep the connection.</summary>
    public TimeSpan KeepAliveInterval { get; init; } = TimeSpan.FromSeconds(15);
}
