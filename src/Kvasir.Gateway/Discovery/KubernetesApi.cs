using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;

namespace Kvasir.Gateway.Discovery;

/// <summary>The cluster's API as a pod sees it: by the service account's token, which the cluster renews in its file.</summary>
/// <param name="address">The API's address.</param>
/// <param name="http">A client that trusts it.</param>
/// <param name="token">Reads the token of now.</param>
/// <param name="ownNamespace">The pod's namespace.</param>
public sealed class KubernetesApi(Uri address, HttpClient http, Func<string> token, string ownNamespace)
{
    private const string Account = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// <summary>The API of the cluster that this process runs in, or null where it runs in none.</summary>
    public static KubernetesApi? OfThisPod()
    {
        var (host, port) = (Environment.GetEnvironmentVariable("KUBERNETES_SERVICE_HOST"), Environment.GetEnvironmentVariable("KUBERNETES_SERVICE_PORT"));
        if (string.IsNullOrEmpty(host) || !File.Exists($"{Account}/token")) return null;
        var roots = new X509Certificate2Collection();
        roots.ImportFromPemFile($"{Account}/ca.crt");
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            SslOptions = { CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck } },
        };
        handler.SslOptions.CertificateChainPolicy.CustomTrustStore.AddRange(roots);
        return new KubernetesApi(new UriBuilder("https", host, int.Parse(port ?? "443", System.Globalization.CultureInfo.InvariantCulture)).Uri,
            new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(10) }, () => File.ReadAllText($"{Account}/token"), File.ReadAllText($"{Account}/namespace").Trim());
    }

    /// <summary>The EndpointSlices of a service, as the API writes them.</summary>
    /// <param name="name">The namespace; null for the pod's own.</param>
    /// <param name="service">The service.</param>
    /// <param name="cancel">Stops it.</param>
    public async Task<string> EndpointSlicesAsync(string? name, string service, CancellationToken cancel)
    {
        var path = $"/apis/discovery.k8s.io/v1/namespaces/{Uri.EscapeDataString(name ?? ownNamespace)}/endpointslices?labelSelector={Uri.EscapeDataString($"kubernetes.io/service-name={service}")}";
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(address, path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token().Trim());
        using var response = await http.SendAsync(request, cancel);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadAsStringAsync(cancel);
    }
}
