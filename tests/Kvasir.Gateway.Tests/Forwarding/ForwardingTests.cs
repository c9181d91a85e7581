using System.Net;

namespace Kvasir.Gateway.Tests.Forwarding;

public sealed class ForwardingTests
{
    private static readonly string[] Both = ["w0", "w1"];

    [Fact]
    public async Task An_answer_comes_through_with_the_worker_and_its_cached_tokens()
    {
        await using var fleet = await TestFleet.StartAsync(2);
        var text = TestFleet.Text(1, 4000);
        using var first = await fleet.AskAsync(text);
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        var worker = first.Headers.GetValues("x-kvasir-worker").Single();
        Assert.Contains(worker, Both);
        Assert.Equal("0", first.Headers.GetValues("x-kvasir-cached-tokens").Single());
        using var second = await fleet.AskAsync(text);
        Assert.Equal(worker, second.Headers.GetValues("x-kvasir-worker").Single());
        Assert.True(int.Parse(second.Headers.GetValues("x-kvasir-cached-tokens").Single()) > 900);
        Assert.Single(second.Headers.GetValues("x-request-id"));
        await fleet.SettleAsync();
    }

    [Fact]
    public async Task A_stream_is_passed_on_token_by_token()
    {
        await using var fleet = await TestFleet.StartAsync(1, _ => TestFleet.Fast with { TokenTime = TimeSpan.FromMilliseconds(150) });
        using var response = await fleet.AskAsync("hello", stream: true, maxTokens: 5, completion: HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.StartsWith("data: ", await reader.ReadLineAsync(), StringComparison.Ordinal);
        // The first token is here while the worker still has requests inside: nothing was held back.
        Assert.Equal(1, fleet.Workers[0].Inside);
        Assert.EndsWith("data: [DONE]\n\n", await reader.ReadToEndAsync(), StringComparison.Ordinal);
        await fleet.SettleAsync();
    }

    [Fact]
    public async Task The_first_token_does_not_wait_for_the_second()
    {
        await using var fleet = await TestFleet.StartAsync(1, _ => TestFleet.Fast with { TokenTime = TimeSpan.FromMinutes(1) });
        using var response = await fleet.AskAsync("hello", stream: true, maxTokens: 5, completion: HttpCompletionOption.ResponseHeadersRead).WaitAsync(TimeSpan.FromSeconds(30));
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.StartsWith("data: ", await reader.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_leaves_frees_the_worker()
    {
        await using var fleet = await TestFleet.StartAsync(1, _ => TestFleet.Fast with { TokenTime = TimeSpan.FromSeconds(1) });
        var response = await fleet.AskAsync("hello", stream: true, maxTokens: 100, completion: HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(1, fleet.Workers[0].Inside);
        response.Dispose();
        await TestFleet.UntilAsync(() => fleet.Workers[0].Inside == 0);
        await fleet.SettleAsync();
        Assert.False(fleet.State.Fleet.Workers[0].Breaker.IsOpen);
    }

    [Fact]
    public async Task A_client_that_leaves_during_prefill_frees_the_worker()
    {
        await using var fleet = await TestFleet.StartAsync(1, _ => TestFleet.Fast with { PrefillTokensPerSecond = 100 });
        using var leave = new CancellationTokenSource(300);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fleet.AskAsync(TestFleet.Text(1, 8000), stream: true, cancel: leave.Token));
        await TestFleet.UntilAsync(() => fleet.Workers[0].Inside == 0);
        await fleet.SettleAsync();
    }

    [Fact]
    public async Task A_model_that_no_worker_serves_is_refused_with_those_that_exist()
    {
        await using var fleet = await TestFleet.StartAsync(1);
        using var response = await fleet.PostAsync(new { model = "other", messages = new[] { new { role = "user", content = "x" } } });
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        var text = await response.Content.ReadAsStringAsync();
        Assert.Contains("mock", text, StringComparison.Ordinal);
        Assert.Contains("model_not_found", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_drained_worker_gets_nothing_new()
    {
        await using var fleet = await TestFleet.StartAsync(2);
        (await fleet.SendAsync(HttpMethod.Post, "/gateway/workers/w0/drain")).EnsureSuccessStatusCode();
        for (var i = 0; i < 6; i++)
        {
            using var response = await fleet.AskAsync(TestFleet.Text(i, 200));
            Assert.Equal("w1", response.Headers.GetValues("x-kvasir-worker").Single());
        }
        (await fleet.SendAsync(HttpMethod.Delete, "/gateway/workers/w0/drain")).EnsureSuccessStatusCode();
        Assert.All(fleet.State.Fleet.Workers, worker => Assert.True(worker.TakesRequests));
    }

    [Fact]
    public async Task Receipts_tell_why_and_what_came_of_it()
    {
        await using var fleet = await TestFleet.StartAsync(2, change: options => options with { Shadows = ["round-robin", "llm-d"] });
        var text = TestFleet.Text(3, 4000);
        using (await fleet.AskAsync(text))
        using (await fleet.AskAsync(text))
        {
        }
        await fleet.SettleAsync();
        var latest = (await fleet.GetAsync("/gateway/decisions?limit=1"))[0];
        Assert.Equal("kvasir", latest.GetProperty("policy").GetString());
        Assert.Equal(2, latest.GetProperty("candidates").GetArrayLength());
        Assert.Equal(2, latest.GetProperty("shadows").GetArrayLength());
        var predicted = latest.GetProperty("predicted_cached_tokens").GetDouble();
        var actual = latest.GetProperty("actual_cached_tokens").GetInt32();
        Assert.InRange(predicted, actual - 64, actual + 64);
    }

    [Fact]
    public async Task Metrics_tell_requests_by_worker()
    {
        await using var fleet = await TestFleet.StartAsync(1);
        using (await fleet.AskAsync("hello"))
        {
        }
        await fleet.SettleAsync();
        var metrics = await fleet.TextAsync("/metrics");
        Assert.Contains("kvasir_gateway_requests_total", metrics, StringComparison.Ordinal);
        Assert.Contains("worker=\"w0\"", metrics, StringComparison.Ordinal);
    }
}
