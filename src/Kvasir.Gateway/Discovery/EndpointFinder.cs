using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace Kvasir.Gateway.Discovery;

/// <summary>Looks workers up: names in DNS, ready endpoints of Kubernetes services in its API.</summary>
/// <param name="kubernetes">A client of the cluster's API, or null outside a cluster.</param>
public sealed class EndpointFinder(KubernetesApi? kubernetes)
{
    /// <summary>The addresses now, or null where they could not be found out: those known before stay.</summary>
    public async Task<ImmutableArray<IPAddress>?> FindAsync(WorkerDiscovery discovery, CancellationToken cancel)
    {
        try
        {
            if (discovery.Dns is { } name) return Sorted(await Dns.GetHostAddressesAsync(name, cancel));
            if (kubernetes is null) return null;
            return Sorted(Read(await kubernetes.EndpointSlicesAsync(discovery.Namespace, discovery.KubernetesService!, cancel)));
        }
        catch (Exception error) when (error is SocketException or HttpRequestException or JsonException or InvalidOperationException or IOException
            || error is OperationCanceledException && !cancel.IsCancellationRequested)
        {
            return null;
        }
    }

    /// <summary>Ready addresses of an EndpointSliceList (<c>discovery.k8s.io/v1</c>); an endpoint that does not say is ready.</summary>
    internal static IEnumerable<IPAddress> Read(string json)
    {
        using var document = JsonDocument.Parse(json);
        var found = new List<IPAddress>();
        foreach (var slice in document.RootElement.GetProperty("items").EnumerateArray())
        {
            if (!slice.TryGetProperty("endpoints", out var endpoints) || endpoints.ValueKind != JsonValueKind.Array) continue;
            foreach (var endpoint in endpoints.EnumerateArray())
            {
                if (endpoint.TryGetProperty("conditions", out var conditions) && conditions.TryGetProperty("ready", out var ready) && ready.ValueKind == JsonValueKind.False) continue;
                if (!endpoint.TryGetProperty("addresses", out var addresses)) continue;
                foreach (var address in addresses.EnumerateArray())
                    if (IPAddress.TryParse(address.GetString(), out var parsed)) found.Add(parsed);
            }
        }
        return found;
    }

    private static ImmutableArray<IPAddress> Sorted(IEnumerable<IPAddress> addresses) =>
        [.. addresses.Distinct().OrderBy(address => address.ToString(), StringComparer.Ordinal)];
}
