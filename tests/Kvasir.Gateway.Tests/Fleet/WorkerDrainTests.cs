using System.Net;
using System.Text.Json;
using Kvasir.Adapters;
using Kvasir.Gateway.Fleet;
using Kvasir.Simulation.Mock;

namespace Kvasir.Gateway.Tests.Fleet;

/// <summary>A worker is drained when nothing of ours runs there and, by its own word, nobody else's.</summary>
public sealed class WorkerDrainTests
{
    private readonly ManualTime time = new();

    [Fact]
    public void Without_being_asked_to_nobody_drains() => Assert.Null(WorkerDrain.Of(Ready("vllm")));

    [Fact]
    public void Our_own_requests_are_waited_for_and_then_metrics_that_were_read_after_them()
    {
        var worker = Ready("vllm");
        var lease = worker.Load.Begin(100, 100, 0, 1000);
        worker.Draining = true;
        Tell(worker, 1);
        Assert.Equal(new WorkerDrain(DrainState.Draining, 1, 1), WorkerDrain.Of(worker));
        lease.Dispose();
        Assert.Equal(new WorkerDrain(DrainState.Draining, 0, 1), WorkerDrain.Of(worker));
        Tell(worker, 2);
        Assert.Equal(new WorkerDrain(DrainState.Draining, 0, 2), WorkerDrain.Of(worker));
        Tell(worker, 0);
        Assert.Equal(new WorkerDrain(DrainState.Drained, 0, 0), WorkerDrain.Of(worker));
        worker.Draining = false;
        Assert.Null(WorkerDrain.Of(worker));
    }

    [Fact]
    public void What_metrics_said_before_the_drain_does_not_count()
    {
        var worker = Ready("vllm");
        Tell(worker, 0);
        time.Pass(1);
        worker.Draining = true;
        Assert.Equal(DrainState.Draining, WorkerDrain.Of(worker)!.Value.State);
        Tell(worker, 0);
        Assert.Equal(DrainState.Drained, WorkerDrain.Of(worker)!.Value.State);
    }

    [Fact]
    public void What_tells_nothing_of_itself_is_taken_at_our_word()
    {
        var worker = Ready("openai");
        worker.Draining = true;
        Assert.Equal(new WorkerDrain(DrainState.Drained, 0, null), WorkerDrain.Of(worker));
    }

    [Fact]
    public void What_is_down_runs_nothing()
    {
        var worker = Ready("vllm");
        Tell(worker, 3);
        worker.Draining = true;
        worker.Observe(WorkerHealth.Down);
        Assert.Equal(new WorkerDrain(DrainState.Drained, 0, 0), WorkerDrain.Of(worker));
    }

    [Fact]
    public async Task Over_HTTP_a_drain_tells_what_still_runs_and_when_nothing_does()
    {
        await using var fleet = await TestFleet.StartAsync(2, _ => TestFleet.Fast with { TokenTime = TimeSpan.FromMilliseconds(50) });
        var worker = fleet.State.Fleet.Workers[0];
        // One request of ours, and one that went past the gateway.
        fleet.State.Fleet.Workers[1].Draining = true;
        using var own = await fleet.AskAsync("own", stream: true, maxTokens: 20, completion: HttpCompletionOption.ResponseHeadersRead);
        fleet.State.Fleet.Workers[1].Draining = false;
        using var client = new HttpClient();
        var other = client.PostAsync(new Uri(fleet.Workers[0].Address, "/v1/completions"), new StringContent("""{"prompt":"other","max_tokens":40}"""));
        await TestFleet.UntilAsync(() => worker.Reading.Unfinished == 2);
        using (var answer = await fleet.SendAsync(HttpMethod.Post, "/gateway/workers/w0/drain"))
        {
            using var told = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
            Assert.Equal(("draining", 1, 2.0), Told(told.RootElement));
        }
        await own.Content.ReadAsStringAsync();
        await TestFleet.UntilAsync(() => WorkerDrain.Of(worker) is { OwnRequests: 0, EngineRequests: 1 });
        Assert.Equal(("draining", 0, 1.0), Told((await fleet.GetAsync("/gateway/workers"))[0]));
        Assert.Equal(HttpStatusCode.OK, (await other).StatusCode);
        await TestFleet.UntilAsync(() => WorkerDrain.Of(worker)?.State == DrainState.Drained);
        Assert.Equal(("drained", 0, 0.0), Told((await fleet.GetAsync("/gateway/workers"))[0]));
        using (var back = await fleet.SendAsync(HttpMethod.Delete, "/gateway/workers/w0/drain")) Assert.DoesNotContain("\"drain\"", await back.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.True(worker.TakesRequests);
    }

    private static (string?, int, double) Told(JsonElement worker)
    {
        var drain = worker.GetProperty("drain");
        return (drain.GetProperty("state").GetString(), drain.GetProperty("gateway_requests").GetInt32(), drain.GetProperty("engine_requests").GetDouble());
    }

    private Worker Ready(string engine)
    {
        time.Pass(1);
        var worker = new Worker(0, WorkerAddress.Parse($"{engine}=http://worker.test:8000"), time);
        worker.Observe(WorkerHealth.Ready);
        return worker;
    }

    private void Tell(Worker worker, double unfinished)
    {
        time.Pass(1);
        worker.Take(new EngineReading { Unfinished = unfinished }, time.GetTimestamp());
        time.Pass(1);
    }
}
