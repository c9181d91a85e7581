using Kvasir.Gateway.Fleet;

namespace Kvasir.Gateway.Tests.Fleet;

public sealed class WorkerLoadTests
{
    [Fact]
    public void Recent_tokens_fade_and_those_of_ended_requests_stay()
    {
        var load = new WorkerLoad();
        load.Begin(10_000, 4000, 50, 1000).Dispose();
        Assert.Equal(4000, load.RecentTokens(50));
        Assert.Equal(6000, load.RecentCachedTokens(50));
        Assert.Equal(4000 / Math.E, load.RecentTokens(170), 6);
        load.Begin(1000, 1000, 170, 1000).Dispose();
        Assert.Equal((4000 / Math.E) + 1000, load.RecentTokens(170), 6);
        Assert.Equal(6000 / Math.E, load.RecentCachedTokens(170), 6);
        Assert.Equal(0, load.PendingTokens);
    }

    [Fact]
    public void A_clock_that_is_read_late_grows_nothing()
    {
        var load = new WorkerLoad();
        load.Begin(100, 100, 10, 1000).Dispose();
        load.Begin(100, 100, 9, 1000).Dispose();
        Assert.Equal(200, load.RecentTokens(8));
    }
}
