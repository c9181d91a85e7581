using System.Net;
using System.Text;
using Kvasir.Gateway.Discovery;
using Kvasir.Gateway.Fleet;

namespace Kvasir.Gateway.Tests.Discovery;

public sealed class DiscoveryTests
{
    private const string Slices = """
        {"kind":"EndpointSliceList","items":[
          {"endpoints":[{"addresses":["10.0.0.2"],"conditions":{"ready":true}},{"addresses":["10.0.0.3"],"conditions":{"ready":false}}]},
          {"endpoints":[{"addresses":["10.0.0.1"]},{"addresses":["fd00::1"],"conditions":{"ready":true}}]},
          {"endpoints":null}]}
        """;

    private readonly ManualTime time = new();

    [Fact]
    public async Task Ready_endpoints_of_a_service_are_workers()
    {
        var asked = new AskedApi(Slices);
        var (fleet, loop) = Make(asked);
        loop.Apply([], [Service]);
        await loop.LookAsync(default);
        Assert.Equal(["10.0.0.1:8000", "10.0.0.2:8000", "[fd00::1]:8000"], fleet.Workers.Select(worker => worker.Address.Name));
        Assert.Equal("tcp://10.0.0.1:5557", fleet.Workers[0].Address.KvEvents);
        Assert.Equal("/apis/discovery.k8s.io/v1/namespaces/here/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dworkers", asked.Path);
        Assert.Equal("Bearer token", asked.Authorization);
    }

    [Fact]
    public async Task Workers_that_stay_are_kept_and_an_api_that_is_away_changes_nothing()
    {
        var asked = new AskedApi(Slices);
        var (fleet, loop) = Make(asked);
        loop.Apply([WorkerAddress.Parse("http://fixed:1")], [Service]);
        await loop.LookAsync(default);
        var kept = fleet.Find("10.0.0.2:8000");
        asked.Answer = null;
        time.Pass(10);
        await loop.LookAsync(default);
        Assert.Equal(4, fleet.Workers.Length);
        asked.Answer = """{"items":[{"endpoints":[{"addresses":["10.0.0.2"]}]}]}""";
        await loop.LookAsync(default);
        Assert.Equal(4, fleet.Workers.Length);
        time.Pass(10);
        await loop.LookAsync(default);
        Assert.Equal(2, fleet.Workers.Length);
        Assert.Same(kept, fleet.Find("10.0.0.2:8000"));
        loop.Apply([WorkerAddress.Parse("http://fixed:1")], []);
        Assert.Equal("fixed:1", Assert.Single(fleet.Workers).Address.Name);
    }

    [Fact]
    public async Task A_name_in_dns_is_looked_up()
    {
        var (fleet, loop) = Make(new AskedApi(null));
        loop.Apply([], [new WorkerDiscovery { Dns = "127.0.0.1", Port = 9 }]);
        await loop.LookAsync(default);
        Assert.Equal("127.0.0.1:9", Assert.Single(fleet.Workers).Address.Name);
    }

    private static WorkerDiscovery Service => new() { KubernetesService = "workers", Port = 8000, KvEventPort = 5557 };

    private (WorkerFleet, DiscoveryLoop) Make(AskedApi asked)
    {
        var fleet = new WorkerFleet(time);
        var api = new KubernetesApi(new Uri("https://cluster"), new HttpClient(asked), () => "token\n", "here");
        return (fleet, new DiscoveryLoop(fleet, new EndpointFinder(api), time));
    }

    private sealed class AskedApi(string? answer) : HttpMessageHandler
    {
        public string? Answer { get; set; } = answer;

        public string? Path { get; private set; }

        public string? Authorization { get; private set; }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            (Path, Authorization) = (request.RequestUri!.PathAndQuery, request.Headers.Authorization?.ToString());
            return Task.FromResult(Answer is null ? new HttpResponseMessage(HttpStatusCode.ServiceUnavailable)
                : new HttpResponseMessage(HttpStatusCode.OK) { Content = new StringContent(Answer, Encoding.UTF8, "application/json") });
        }
    }
}
