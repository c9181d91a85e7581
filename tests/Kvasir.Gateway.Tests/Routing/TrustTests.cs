using System.Text.Json;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Routing;
using Kvasir.Simulation.Mock;

namespace Kvasir.Gateway.Tests.Routing;

/// <summary>Whatever is wrong with what a worker tells of its cache is noticed within a few requests, and shown.</summary>
public sealed class TrustTests
{
    private const int FewRequests = 8;

    [Fact]
    public async Task A_template_that_differs_from_the_workers_is_noticed_and_what_was_sent_there_counts_instead()
    {
        var time = new ShiftedTime();
        await using var fleet = await StartAsync(options => options with { HidesTemplate = true }, time);
        var text = TestFleet.Text(1, 4000);
        for (var i = 0; i < FewRequests && (await WorkerAsync(fleet)).GetProperty("trust").GetString() != "fallback"; i++) await AskLaterAsync(fleet, text, time);
        var worker = await WorkerAsync(fleet);
        Assert.Equal(("fallback", "events_missing"), (worker.GetProperty("trust").GetString(), worker.GetProperty("trust_doubt").GetString()));
        Assert.Contains("kvasir_gateway_worker_fallback{", await fleet.TextAsync("/metrics"), StringComparison.Ordinal);
        await AskLaterAsync(fleet, text, time);
        var (predicted, actual) = await LatestAsync(fleet);
        Assert.True(actual > 900, $"{actual}");
        Assert.InRange(predicted, actual - 32, actual + 32);
    }

    [Fact]
    public async Task A_salt_that_events_do_not_tell_of_is_noticed()
    {
        await using var fleet = await StartAsync(options => options with { HidesSalt = true });
        await ShowsAsync(fleet, "fallback", "predicted_too_much", "compared");
        Assert.True((await WorkerAsync(fleet)).GetProperty("trust_factor").GetDouble() < 0.4);
    }

    [Theory]
    [InlineData(4, false)]
    [InlineData(64, false)]
    [InlineData(4, true)]
    [InlineData(64, true)]
    public async Task A_wrong_block_size_is_noticed(int told, bool sgLang)
    {
        await using var fleet = await StartAsync(options => options with { EventBlockSize = told, SgLang = sgLang });
        await ShowsAsync(fleet, "degraded", "events_lost", "misfits");
        await PredictsWhatWasSentAsync(fleet);
    }

    [Fact]
    public async Task A_wire_format_that_nobody_knows_is_noticed()
    {
        await using var fleet = await StartAsync(options => options with { EventGarbleShare = 1 });
        await ShowsAsync(fleet, "degraded", "events_lost", "unreadable");
        await PredictsWhatWasSentAsync(fleet);
        Assert.Contains("kvasir_gateway_worker_events_unreadable_total{", await fleet.TextAsync("/metrics"), StringComparison.Ordinal);
    }

    [Fact]
    public void Events_that_tell_of_everything_again_are_believed_again()
    {
        var trust = new CacheTrust();
        for (var i = 0; i < 3; i++) trust.Observe(0, 2000, fromEvents: true);
        Assert.Equal((true, TrustDoubt.EventsMissing, TrustState.Fallback), (trust.AreEventsMissing, trust.Doubt, trust.State(fromEvents: true)));
        for (var i = 0; i < 50; i++) trust.Observe(2000, 2000);
        Assert.Equal((false, TrustDoubt.None, TrustState.Exact), (trust.AreEventsMissing, trust.Doubt, trust.State(fromEvents: true)));
        for (var i = 0; i < 20; i++) trust.Observe(1900, 2000, fromEvents: true);
        Assert.False(trust.AreEventsMissing);
    }

    [Fact]
    public void A_worker_without_events_is_not_asked_for_what_they_would_have_told()
    {
        var trust = new CacheTrust();
        for (var i = 0; i < 20; i++) trust.Observe(0, 2000);
        Assert.Equal((TrustDoubt.None, TrustState.Degraded), (trust.Doubt, trust.State(fromEvents: false)));
    }

    private static Task<TestFleet> StartAsync(Func<MockWorkerOptions, MockWorkerOptions> fault, TimeProvider? time = null) =>
        TestFleet.StartAsync(1, _ => fault(TestFleet.Fast with { EventPort = TestFleet.FreePort() }), time: time);

    /// <summary>Long after what was sent last is no longer believed for having been sent.</summary>
    private static async Task AskLaterAsync(TestFleet fleet, string text, ShiftedTime time)
    {
        using (await fleet.AskAsync(text)) { }
        await fleet.SettleAsync();
        await fleet.AskUntilKnownAsync();
        time.Pass(CacheView.Recent + TimeSpan.FromSeconds(1));
    }

    private static async Task ShowsAsync(TestFleet fleet, string trust, string doubt, string counter)
    {
        for (var i = 0; i < FewRequests; i++)
        {
            using (await fleet.AskAsync(TestFleet.Text(1, 4000) + i)) { }
            await fleet.SettleAsync();
            var worker = await WorkerAsync(fleet);
            if (worker.GetProperty("trust").GetString() == trust && worker.GetProperty("trust_doubt").GetString() == doubt && Count(worker, counter) > 0) return;
            // A message takes a moment to arrive.
            await Task.Delay(100);
        }
        Assert.Fail($"After {FewRequests} requests: {await WorkerAsync(fleet)}");
    }

    private static long Count(JsonElement worker, string name) => (worker.TryGetProperty(name, out var own) ? own : worker.GetProperty("events").GetProperty(name)).GetInt64();

    private static async Task PredictsWhatWasSentAsync(TestFleet fleet)
    {
        var text = TestFleet.Text(7, 4000);
        using (await fleet.AskAsync(text))
        using (await fleet.AskAsync(text)) { }
        await fleet.SettleAsync();
        var (predicted, actual) = await LatestAsync(fleet);
        Assert.True(actual > 900, $"{actual}");
        Assert.InRange(predicted, actual - 64, actual + 64);
    }

    private static async Task<JsonElement> WorkerAsync(TestFleet fleet) => (await fleet.GetAsync("/gateway/workers"))[0];

    private static async Task<(double Predicted, int Actual)> LatestAsync(TestFleet fleet)
    {
        var latest = (await fleet.GetAsync("/gateway/decisions?limit=1"))[0];
        return (latest.GetProperty("predicted_cached_tokens").GetDouble(), latest.GetProperty("actual_cached_tokens").GetInt32());
    }
}
