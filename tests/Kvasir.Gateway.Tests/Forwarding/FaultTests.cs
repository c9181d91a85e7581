using System.Net;
using Kvasir.Simulation.Mock;

namespace Kvasir.Gateway.Tests.Forwarding;

/// <summary>Workers fail in every way; no request is lost that had not begun to stream, and counts return to zero.</summary>
public sealed class FaultTests
{
    private const int AtOnce = 6;

    [Fact]
    public async Task A_worker_that_answers_500_costs_no_request()
    {
        await using var fleet = await TestFleet.StartAsync(3, i => TestFleet.Fast with { ErrorShare = i == 0 ? 1 : 0 });
        var watch = System.Diagnostics.Stopwatch.StartNew();
        await AllSucceedAsync(fleet, 60, stream: true);
        Assert.Equal(60, fleet.Workers[1].Answered + fleet.Workers[2].Answered);
        // Three failures open the breaker; five more may be on their way; then it lets one try in two seconds or more.
        var most = 3 + (AtOnce - 1) + (int)(watch.Elapsed.TotalSeconds / 2);
        Assert.InRange(fleet.State.Fleet.Workers[0].Load.Started, 1, most);
    }

    [Fact]
    public async Task A_worker_that_is_killed_under_load_costs_no_request_that_had_not_begun()
    {
        await using var fleet = await TestFleet.StartAsync(2, _ => TestFleet.Fast with { PrefillTokensPerSecond = 20_000 });
        var requests = Enumerable.Range(0, 40).Select(i => fleet.AskAsync(TestFleet.Text(i, 2000))).ToList();
        await Task.Delay(100);
        await fleet.Workers[0].DisposeAsync();
        foreach (var request in requests)
        {
            using var response = await request;
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
        await fleet.SettleAsync();
    }

    [Fact]
    public async Task A_stream_that_breaks_off_leaves_no_trace_in_the_counts()
    {
        await using var fleet = await TestFleet.StartAsync(2, i => TestFleet.Fast with { BreakShare = i == 0 ? 1 : 0 });
        for (var i = 0; i < 12; i++)
        {
            try
            {
                using var response = await fleet.AskAsync(TestFleet.Text(i, 500), stream: true);
            }
            catch (Exception error) when (error is HttpRequestException or IOException)
            {
                // It had begun to stream.
            }
        }
        await fleet.SettleAsync();
    }

    [Fact]
    public async Task A_worker_that_hangs_is_given_up_and_another_answers()
    {
        await using var fleet = await TestFleet.StartAsync(2, i => TestFleet.Fast with { HangShare = i == 0 ? 1 : 0 }, options => options with { IdleTimeout = TimeSpan.FromSeconds(1) });
        await AllSucceedAsync(fleet, 12, stream: true);
        Assert.Equal(12, fleet.Workers[1].Answered);
    }

    [Fact]
    public async Task A_stream_that_stalls_is_ended_and_leaves_no_trace_in_the_counts()
    {
        await using var fleet = await TestFleet.StartAsync(1, _ => TestFleet.Fast with { StallShare = 1 }, options => options with { IdleTimeout = TimeSpan.FromSeconds(1) });
        using var response = await fleet.AskAsync("hello", stream: true, completion: HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.StartsWith("data: ", await reader.ReadLineAsync(), StringComparison.Ordinal);
        await Assert.ThrowsAnyAsync<Exception>(() => reader.ReadToEndAsync());
        await fleet.SettleAsync();
        await TestFleet.UntilAsync(() => fleet.Workers[0].Inside == 0);
    }

    [Fact]
    public async Task A_worker_that_hangs_after_its_headers_is_given_up_and_another_answers()
    {
        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var stop = new CancellationTokenSource();
        var hanging = HangAfterHeadersAsync(listener, stop.Token);
        var address = new Uri($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        await using (var fleet = await TestFleet.StartAsync(1, change: options => options with
        {
            IdleTimeout = TimeSpan.FromSeconds(1), Policy = "round-robin",
            Workers = [new Gateway.Fleet.WorkerAddress { Name = "hangs", Address = address, Engine = Kvasir.Adapters.EngineKind.OpenAi, Model = "mock" }, .. options.Workers],
        }))
        {
            using var response = await fleet.AskAsync("hello", stream: true);
            Assert.Equal((HttpStatusCode.OK, "w0"), (response.StatusCode, response.Headers.GetValues("x-kvasir-worker").Single()));
            Assert.Equal(1, fleet.State.Fleet.Find("hangs")!.Load.Started);
            await fleet.SettleAsync();
        }
        await stop.CancelAsync();
        listener.Stop();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hanging);
    }

    [Fact]
    public async Task What_a_worker_was_sent_and_failed_is_not_believed_to_be_there()
    {
        await using var fleet = await TestFleet.StartAsync(2, i => TestFleet.Fast with { ErrorShare = i == 0 ? 1 : 0 }, options => options with { Policy = "round-robin" });
        var text = TestFleet.Text(1, 4000);
        using (await fleet.AskAsync(text)) { }
        await fleet.SettleAsync();
        Assert.Equal((1, 1), (fleet.State.Fleet.Workers[0].Load.Started, fleet.State.Fleet.Workers[1].Load.Started));
        fleet.Workers[0].Options.ErrorShare = 0;
        for (var i = 0; i < 2; i++)
            using (await fleet.AskAsync(text)) { }
        await fleet.SettleAsync();
        var decisions = (await fleet.GetAsync("/gateway/decisions?limit=2")).EnumerateArray()
            .ToDictionary(decision => decision.GetProperty("chosen").GetString()!, decision => decision.GetProperty("predicted_cached_tokens").GetDouble());
        Assert.Equal(0, decisions["w0"]);
        Assert.True(decisions["w1"] > 900, "What was answered is believed.");
    }

    [Fact]
    public async Task What_a_worker_hangs_over_is_believed_for_half_a_minute_at_most()
    {
        var time = new ShiftedTime();
        await using var fleet = await TestFleet.StartAsync(1, _ => TestFleet.Fast with { HangShare = 1 }, time: time);
        var text = TestFleet.Text(1, 4000);
        using var leave = new CancellationTokenSource(500);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fleet.AskAsync(text, cancel: leave.Token));
        await fleet.SettleAsync();
        fleet.Workers[0].Options.HangShare = 0;
        time.Pass(Gateway.Routing.CacheView.Recent + TimeSpan.FromSeconds(1));
        using (await fleet.AskAsync(text)) { }
        await fleet.SettleAsync();
        Assert.Equal(0, (await fleet.GetAsync("/gateway/decisions?limit=1"))[0].GetProperty("predicted_cached_tokens").GetDouble());
    }

    /// <summary>Events that are seconds late, as minutes would be: what was sent is predicted meanwhile, and afterwards everything is known.</summary>
    [Fact]
    public async Task Events_that_are_late_cost_no_request_and_leave_nothing_wrong_once_they_came()
    {
        await using var fleet = await TestFleet.StartAsync(2, _ => TestFleet.Fast with { EventPort = TestFleet.FreePort(), CapacityTokens = 4096 });
        await fleet.AskUntilKnownAsync();
        foreach (var worker in fleet.Workers) worker.Options.EventDelay = TimeSpan.FromSeconds(3);
        await AllSucceedAsync(fleet, 30, stream: false);
        var text = TestFleet.Text(5000, 2000);
        using (await fleet.AskAsync(text)) { }
        using (var burst = await fleet.AskAsync(text)) Assert.True(int.Parse(burst.Headers.GetValues("x-kvasir-cached-tokens").Single()) > 400);
        await TestFleet.UntilAsync(() => fleet.State.Caches.Events.Blocks == fleet.Workers.Sum(worker => worker.Cache.Count));
        await fleet.SettleAsync();
    }

    [Fact]
    public async Task Under_all_policies_every_worker_gets_requests()
    {
        foreach (var policy in Gateway.Policies.PolicyCatalog.Names.Except(["session", "consistent-hash"]))
        {
            await using var fleet = await TestFleet.StartAsync(3, change: options => options with { Policy = policy });
            await AllSucceedAsync(fleet, 60, stream: true);
            Assert.All(fleet.Workers, worker => Assert.True(worker.Answered > 0, $"{policy}: {string.Join(", ", fleet.Workers.Select(other => other.Answered))}"));
        }
    }

    [Fact]
    public async Task A_worker_that_restarts_empty_is_believed_empty()
    {
        await using var fleet = await TestFleet.StartAsync(1);
        var text = TestFleet.Text(1, 4000);
        using (await fleet.AskAsync(text))
        {
        }
        var port = fleet.Workers[0].Address.Port;
        await fleet.Workers[0].DisposeAsync();
        await TestFleet.UntilAsync(() => fleet.State.Fleet.Workers[0].Health == Gateway.Fleet.WorkerHealth.Down);
        fleet.Workers[0] = await MockWorker.StartAsync(TestFleet.Fast with { Port = port });
        await TestFleet.UntilAsync(() => fleet.State.Fleet.Workers[0].TakesRequests);
        using var response = await fleet.AskAsync(text);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await fleet.SettleAsync();
        Assert.Equal(0, (await fleet.GetAsync("/gateway/decisions?limit=1"))[0].GetProperty("predicted_cached_tokens").GetDouble());
    }

    [Fact]
    public async Task A_gateway_that_restarts_serves_at_once_and_promises_nothing_it_does_not_know()
    {
        await using var fleet = await TestFleet.StartAsync(2, _ => TestFleet.Fast with { EventPort = TestFleet.FreePort() });
        var texts = Enumerable.Range(0, 6).Select(i => TestFleet.Text(i, 3000)).ToArray();
        foreach (var text in texts)
            using (await fleet.AskAsync(text)) { }
        await fleet.SettleAsync();
        await using var again = new TestFleet { Workers = [], Gateway = await GatewayServer.StartAsync(fleet.State.Options with { Port = 0 }) };
        foreach (var text in texts)
        {
            using var response = await again.AskAsync(text);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
        await again.SettleAsync();
        foreach (var decision in (await again.GetAsync("/gateway/decisions?limit=6")).EnumerateArray())
            Assert.True(decision.GetProperty("predicted_cached_tokens").GetDouble() <= decision.GetProperty("actual_cached_tokens").GetInt32() + 64);
    }

    [Fact]
    public async Task A_worker_that_recovers_gets_requests_again()
    {
        await using var fleet = await TestFleet.StartAsync(2, i => TestFleet.Fast with { ErrorShare = i == 0 ? 1 : 0 });
        await AllSucceedAsync(fleet, 30, stream: false);
        fleet.Workers[0].Options.ErrorShare = 0;
        for (var i = 0; i < 3000 && fleet.Workers[0].Answered == 0; i++)
        {
            using var response = await fleet.AskAsync(TestFleet.Text(1000 + i, 400));
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            await Task.Delay(20);
        }
        Assert.True(fleet.Workers[0].Answered > 0, "A worker that answers again should get requests again.");
    }

    [Fact]
    public async Task Without_any_worker_the_answer_is_503_with_the_time_to_come_back()
    {
        await using var fleet = await TestFleet.StartAsync(1);
        await fleet.Workers[0].DisposeAsync();
        await TestFleet.UntilAsync(() => fleet.State.Fleet.Workers[0].Health == Gateway.Fleet.WorkerHealth.Down);
        using var response = await fleet.AskAsync("hello");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.NotNull(response.Headers.RetryAfter);
    }

    [Fact]
    public async Task A_cache_that_does_not_hold_what_it_should_is_trusted_less()
    {
        // The worker forgets all but a few blocks, which the gateway cannot know: it has no events.
        await using var fleet = await TestFleet.StartAsync(1, _ => TestFleet.Fast with { CapacityTokens = 64, BlockSize = 16 },
            options => options with { Workers = [options.Workers[0] with { CapacityTokens = 1 << 20 }] });
        for (var i = 0; i < 8; i++)
        {
            using var response = await fleet.AskAsync(TestFleet.Text(1, 8000));
        }
        await fleet.SettleAsync();
        var worker = fleet.State.Fleet.Workers[0];
        Assert.Equal(Gateway.Fleet.TrustState.Fallback, worker.Trust.State(fromEvents: false));
        Assert.True(worker.Trust.Factor < 0.2);
    }

    private static async Task AllSucceedAsync(TestFleet fleet, int count, bool stream)
    {
        await Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (i, cancel) =>
        {
            using var response = await fleet.AskAsync(TestFleet.Text(i, 400), stream, cancel: cancel);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            var text = await response.Content.ReadAsStringAsync(cancel);
            if (stream) Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
        });
        await fleet.SettleAsync();
    }

    /// <summary>Answers probes, and of everything else the headers of a stream alone.</summary>
    private static async Task HangAfterHeadersAsync(System.Net.Sockets.TcpListener listener, CancellationToken stop)
    {
        var held = new List<System.Net.Sockets.TcpClient>();
        try
        {
            while (true)
            {
                var client = await listener.AcceptTcpClientAsync(stop);
                held.Add(client);
                _ = Task.Run(async () =>
                {
                    var (stream, buffer) = (client.GetStream(), new byte[16 << 10]);
                    while (await stream.ReadAsync(buffer, stop) is > 0 and var count)
                    {
                        var isProbe = System.Text.Encoding.ASCII.GetString(buffer, 0, count).StartsWith("GET", StringComparison.Ordinal);
                        await stream.WriteAsync(isProbe ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"u8.ToArray() : "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"u8.ToArray(), stop);
                    }
                }, stop);
            }
        }
        finally
        {
            held.ForEach(client => client.Dispose());
        }
    }
}
