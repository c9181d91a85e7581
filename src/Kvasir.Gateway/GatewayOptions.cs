using System.Collections.Immutable;
using Kvasir.Gateway.Admission;
using Kvasir.Gateway.Discovery;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Policies;

namespace Kvasir.Gateway;

/// <summary>How the gateway listens, routes and forwards.</summary>
public sealed record GatewayOptions
{
    /// <summary>Address to listen on.</summary>
    public string Host { get; init; } = "127.0.0.1";
    /// <summary>TCP port; 0 takes a free one.</summary>
    public int Port { get; init; } = 8080;
    /// <summary>A further TCP port for HTTP/2 without TLS, over which clients with many streams share connections; 0 takes a free one, null none.</summary>
    public int? Http2Port { get; init; }
    /// <summary>The workers.</summary>
    public ImmutableArray<WorkerAddress> Workers { get; init; } = [];
    /// <summary>The policy's name.</summary>
    public string Policy { get; init; } = PolicyCatalog.Default;
    /// <summary>Policies that are asked but do not act.</summary>
    public ImmutableArray<string> Shadows { get; init; } = [];
    /// <summary>Workers that one request may be sent to, one after another, before its first token.</summary>
    public int MaxAttempts { get; init; } = 3;
    /// <summary>Time between two probes of a worker.</summary>
    public TimeSpan ProbeInterval { get; init; } = TimeSpan.FromSeconds(1);
    /// <summary>Time in which a worker must accept a connection.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(3);
    /// <summary>Silence of a worker after which it counts as hung: before the first token and between tokens.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromMinutes(5);
    /// <summary>Largest request body in bytes.</summary>
    public long MaxBodyBytes { get; init; } = 32 << 20;
    /// <summary>Bytes that the exact index of workers' caches may hold; what finds no room in it is believed absent.</summary>
    public long MaxIndexBytes { get; init; } = 4L << 30;
    /// <summary>Time that running answers may take to finish after the gateway was asked to stop.</summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(30);
    /// <summary>Where further workers are found.</summary>
    public ImmutableArray<WorkerDiscovery> Discoveries { get; init; } = [];
    /// <summary>Who may send requests; empty for anybody.</summary>
    public ImmutableArray<Tenant> Tenants { get; init; } = [];
    /// <summary>Requests that are answered at a time; further ones wait, in a fair order.</summary>
    public int MaxInside { get; init; } = 1 << 20;
    /// <summary>Requests that may wait; further ones get 429.</summary>
    public int MaxWaiting { get; init; } = 1024;
    /// <summary>Time to first token that routing tries to keep, or null for the least it can.</summary>
    public TimeSpan? TimeToFirstTokenGoal { get; init; }
    /// <summary>Where spans and figures go by OTLP; null for nowhere. The usual variables say the rest.</summary>
    public Uri? Collector { get; init; } = GatewayTracing.UsualCollector;
    /// <summary>Certificate and key for HTTPS, or null for HTTP.</summary>
    public TlsFiles? Tls { get; init; }
}

/// <summary>Where TLS finds what it needs, as PEM.</summary>
/// <param name="Certificate">The certificate, with those that sign it.</param>
/// <param name="Key">Its private key.</param>
public sealed record TlsFiles(string Certificate, string Key);
