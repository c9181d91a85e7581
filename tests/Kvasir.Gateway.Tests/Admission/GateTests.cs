using System.Net;
using System.Net.Http.Json;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Kvasir.Gateway.Admission;

namespace Kvasir.Gateway.Tests.Admission;

/// <summary>What stands before the gateway: TLS, and pages that are not for everybody.</summary>
public sealed class GateTests
{
    [Fact]
    public async Task Over_TLS_requests_are_answered_and_without_it_none_is()
    {
        var folder = Directory.CreateTempSubdirectory("kvasir-test-");
        using var key = RSA.Create(2048);
        var asked = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        asked.CertificateExtensions.Add(names.Build());
        using var certificate = asked.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(200));
        var files = new TlsFiles(Path.Combine(folder.FullName, "cert.pem"), Path.Combine(folder.FullName, "key.pem"));
        await File.WriteAllTextAsync(files.Certificate, certificate.ExportCertificatePem());
        await File.WriteAllTextAsync(files.Key, key.ExportPkcs8PrivateKeyPem());
        await using (var fleet = await TestFleet.StartAsync(1, change: options => options with { Tls = files }))
        {
            var address = new UriBuilder(fleet.Gateway.Address) { Scheme = "https" }.Uri;
            using var client = new HttpClient(new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, given, _, _) => given!.GetCertHashString() == certificate.GetCertHashString() } });
            using var answer = await client.PostAsJsonAsync(new Uri(address, "/v1/chat/completions"), new { model = "mock", messages = new[] { new { role = "user", content = "hello" } }, max_tokens = 2 });
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            using var stranger = new HttpClient();
            var refused = await Assert.ThrowsAsync<HttpRequestException>(() => stranger.GetAsync(new Uri(address, "/health")));
            Assert.IsType<AuthenticationException>(refused.InnerException);
            await Assert.ThrowsAsync<HttpRequestException>(() => stranger.GetAsync(new UriBuilder(address) { Scheme = "http" }.Uri));
        }
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_certificate_that_cannot_be_used_is_named()
    {
        var error = await Assert.ThrowsAsync<GatewayConfigurationException>(() => TestFleet.StartAsync(0, change: options => options with { Tls = new TlsFiles("/nowhere/cert.pem", "/nowhere/key.pem") }));
        Assert.Contains("/nowhere/cert.pem", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task From_other_machines_the_gateways_own_pages_are_for_admins()
    {
        var outside = NetworkInterface.GetAllNetworkInterfaces().Where(card => card.OperationalStatus == OperationalStatus.Up)
            .SelectMany(card => card.GetIPProperties().UnicastAddresses).Select(entry => entry.Address)
            .FirstOrDefault(address => address.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(address));
        Assert.SkipWhen(outside is null, "This machine has no address but its loopback, so nobody can come from outside.");
        await using var fleet = await TestFleet.StartAsync(1, change: options => options with { Host = "0.0.0.0", Tenants = [Of("user"), Of("admin") with { IsAdmin = true }] });
        using var client = new HttpClient();
        async Task<HttpStatusCode> StatusAsync(IPAddress from, string path, string? key)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new UriBuilder("http", from.ToString(), fleet.Gateway.Address.Port, path).Uri);
            if (key is not null) request.Headers.Authorization = new("Bearer", key);
            using var response = await client.SendAsync(request);
            return response.StatusCode;
        }

        foreach (var page in (string[])["/gateway/decisions", "/gateway/workers", "/metrics"])
        {
            Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(outside!, page, null));
            Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(outside!, page, "user"));
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(outside!, page, "admin"));
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(IPAddress.Loopback, page, null));
        }
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(outside!, "/health", null));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(outside!, "/v1/models", null));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(outside!, "/v1/models", "user"));
    }

    private static Tenant Of(string key) => new() { Name = key, KeyHash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key))) };
}
