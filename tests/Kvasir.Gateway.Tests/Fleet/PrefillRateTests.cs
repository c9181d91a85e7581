using Kvasir.Gateway.Fleet;

namespace Kvasir.Gateway.Tests.Fleet;

public sealed class PrefillRateTests
{
    [Fact]
    public void A_worker_that_was_slow_once_is_tried_again()
    {
        var rate = new PrefillRate();
        rate.Observe(1000, 20, nowSeconds: 100);
        Assert.Equal(50, rate.Value(4000, 100), 6);
        Assert.InRange(rate.Value(4000, 160), 300, 500);
        Assert.InRange(rate.Value(4000, 10_000), 3999, 4000);
        rate.Observe(4000, 1, nowSeconds: 10_000);
        Assert.Equal(rate.Value(), rate.Value(1, 10_000), 6);
    }
}
