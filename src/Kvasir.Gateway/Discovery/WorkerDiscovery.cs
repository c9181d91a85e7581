using Kvasir.Adapters;
using Kvasir.Gateway.Fleet;

namespace Kvasir.Gateway.Discovery;

/// <summary>Where workers are found, and what is known of all that are found there.</summary>
public sealed record WorkerDiscovery
{
    /// <summary>Time between two look-ups unless told otherwise.</summary>
    public static readonly TimeSpan Usual = TimeSpan.FromSeconds(5);

    /// <summary>A name whose addresses are workers, or null.</summary>
    public string? Dns { get; init; }
    /// <summary>A Kubernetes service whose ready endpoints are workers, or null.</summary>
    public string? KubernetesService { get; init; }
    /// <summary>The service's namespace; null for the gateway's own.</summary>
    public string? Namespace { get; init; }
    /// <summary>The workers' port.</summary>
    public required int Port { get; init; }
    /// <summary>Time between two look-ups.</summary>
    public TimeSpan Interval { get; init; } = Usual;
    /// <summary>What runs there; null asks each.</summary>
    public EngineKind? Engine { get; init; }
    /// <summary>The model they serve; null asks each.</summary>
    public string? Model { get; init; }
    /// <summary>Key that requests to them carry.</summary>
    public string? ApiKey { get; init; }
    /// <summary>The port where each publishes cache events, or null.</summary>
    public int? KvEventPort { get; init; }
    /// <summary>The port where lost events may be asked for, or null.</summary>
    public int? KvReplayPort { get; init; }

    /// <summary>The worker at an address that was found.</summary>
    public WorkerAddress At(System.Net.IPAddress address)
    {
        var host = address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString();
        return new WorkerAddress
        {
            Name = $"{host}:{Port}",
            Address = new Uri($"http://{host}:{Port}"),
            Engine = Engine,
            Model = Model,
            ApiKey = ApiKey,
            KvEvents = KvEventPort is { } events ? $"tcp://{host}:{events}" : null,
            KvReplay = KvReplayPort is { } replay ? $"tcp://{host}:{replay}" : null,
        };
    }
}
