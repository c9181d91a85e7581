using System.Net;
using Kvasir.Gateway.Fleet;

namespace Kvasir.Gateway.Tests.Fleet;

/// <summary>A worker that starts again between two probes misses none, but its metrics tell.</summary>
public sealed class WorkerProbeTests
{
    [Theory]
    [InlineData("process_start_time_seconds 1000\n", "process_start_time_seconds 1060\n", true)]
    [InlineData("vllm:prefix_cache_queries_total 5000\n", "vllm:prefix_cache_queries_total 16\n", true)]
    [InlineData("process_start_time_seconds 1000\nvllm:prefix_cache_queries_total 5000\n", "process_start_time_seconds 1000\nvllm:prefix_cache_queries_total 5000\n", false)]
    [InlineData("vllm:prefix_cache_queries_total 5000\n", "vllm:prefix_cache_queries_total 6000\n", false)]
    [InlineData("process_start_time_seconds 1000\n", "", false)]
    public async Task A_restart_between_two_probes_is_seen_by_the_next(string before, string after, bool isRestart)
    {
        var cancel = TestContext.Current.CancellationToken;
        var fleet = new WorkerFleet(TimeProvider.System);
        fleet.Apply([WorkerAddress.Parse("vllm=http://worker.test:8000")]);
        var handler = new Scripted { Metrics = before };
        using var client = new HttpClient(handler);
        var forgotten = new List<Worker>();
        var probe = new WorkerProbe(fleet, client, TimeProvider.System, forgotten.Add);
        await probe.ProbeAsync(fleet.Workers[0], cancel);
        Assert.Empty(forgotten);
        handler.Metrics = after;
        await probe.ProbeAsync(fleet.Workers[0], cancel);
        Assert.Equal(isRestart ? [fleet.Workers[0]] : [], forgotten);
        Assert.Equal(WorkerHealth.Ready, fleet.Workers[0].Health);
    }

    /// <summary>Always healthy; its metrics are set.</summary>
    private sealed class Scripted : HttpMessageHandler
    {
        public string Metrics { get; set; } = "";

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK)
            {
                Content = new StringContent(request.RequestUri!.AbsolutePath switch { "/metrics" => Metrics, "/v1/models" => """{"data":[{"id":"m"}]}""", _ => "" }),
            });
    }
}
