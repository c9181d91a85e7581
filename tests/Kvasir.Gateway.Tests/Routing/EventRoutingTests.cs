using Kvasir.Simulation.Mock;

namespace Kvasir.Gateway.Tests.Routing;

/// <summary>Mock workers publish over real sockets; the gateway must know what they hold.</summary>
public sealed class EventRoutingTests
{
    [Fact]
    public async Task Events_make_predictions_exact()
    {
        await using var fleet = await StartAsync(2);
        var text = TestFleet.Text(1, 8000);
        await fleet.AskUntilKnownAsync();
        using (await fleet.AskAsync(text))
        {
        }
        await Task.Delay(300);
        using (await fleet.AskAsync(text + "and more"))
        {
        }
        await fleet.SettleAsync();
        var latest = (await fleet.GetAsync("/gateway/decisions?limit=1"))[0];
        Assert.True(latest.GetProperty("tokenized").GetBoolean());
        Assert.Equal(latest.GetProperty("actual_cached_tokens").GetInt32(), latest.GetProperty("predicted_cached_tokens").GetDouble());
        Assert.True(latest.GetProperty("actual_cached_tokens").GetInt32() > 1900);
        Assert.Equal("exact", latest.GetProperty("candidates")[0].GetProperty("trust").GetString());
    }

    [Fact]
    public async Task Evictions_are_heard()
    {
        await using var fleet = await StartAsync(1, capacityTokens: 1024);
        await fleet.AskUntilKnownAsync();
        var text = TestFleet.Text(1, 3000);
        using (await fleet.AskAsync(text))
        using (await fleet.AskAsync(TestFleet.Text(2, 4000)))
        {
        }
        await TestFleet.UntilAsync(() => fleet.State.Caches.Events.Blocks <= 64);
    }

    [Fact]
    public async Task Lost_events_are_noticed_and_the_worker_is_not_credited_with_what_it_lost()
    {
        await using var fleet = await StartAsync(1, capacityTokens: 2048);
        await fleet.AskUntilKnownAsync();
        fleet.Workers[0].Options.EventLossShare = 0.3;
        for (var i = 0; i < 30; i++)
        {
            using var response = await fleet.AskAsync(TestFleet.Text(i, 1500));
        }
        fleet.Workers[0].Options.EventLossShare = 0;
        // The bound: after the next message that arrives, nothing is believed that was not told since the last gap.
        for (var i = 100; i < 103; i++)
        {
            using var response = await fleet.AskAsync(TestFleet.Text(i, 1500));
        }
        await TestFleet.UntilAsync(() => fleet.State.Caches.Events.Blocks <= fleet.Workers[0].Cache.Count);
        await fleet.SettleAsync();
    }

    [Fact]
    public async Task Who_cannot_turn_messages_into_tokens_is_helped_by_who_can()
    {
        await using var fleet = await TestFleet.StartAsync(2, i => TestFleet.Fast with { SgLang = i == 0, EventPort = i == 0 ? TestFleet.FreePort() : null });
        fleet.State.Fleet.Workers[1].Draining = true;
        using (await fleet.AskAsync(TestFleet.Text(1, 4000))) { }
        await TestFleet.UntilAsync(() => fleet.State.Caches.Events.Knows(fleet.State.Fleet.Workers[0]));
        fleet.State.Fleet.Workers[1].Draining = false;
        using (await fleet.AskAsync(TestFleet.Text(1, 4000))) { }
        await fleet.SettleAsync();
        Assert.True((await fleet.GetAsync("/gateway/decisions?limit=1"))[0].GetProperty("tokenized").GetBoolean());
    }

    private static Task<TestFleet> StartAsync(int workers, int capacityTokens = 1 << 20) =>
        TestFleet.StartAsync(workers, _ => TestFleet.Fast with { EventPort = TestFleet.FreePort(), CapacityTokens = capacityTokens });
}
