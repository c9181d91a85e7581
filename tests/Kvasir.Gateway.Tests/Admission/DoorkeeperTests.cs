using Kvasir.Gateway.Admission;

namespace Kvasir.Gateway.Tests.Admission;

public sealed class DoorkeeperTests
{
    private readonly ManualTime time = new();

    [Fact]
    public void A_bucket_gives_a_minutes_worth_and_says_when_there_is_more()
    {
        var bucket = new TokenBucket(60, time);
        for (var i = 0; i < 60; i++) Assert.Null(bucket.TryTake(1));
        Assert.Equal(1, bucket.TryTake(1)!.Value.TotalSeconds, 6);
        time.Pass(1);
        Assert.Null(bucket.TryTake(1));
        Assert.NotNull(bucket.TryTake(1));
    }

    [Fact]
    public void What_was_dearer_than_thought_is_waited_off_by_the_next()
    {
        var allowance = new Allowance(Of("a") with { TokensPerMinute = 600 }, time);
        Assert.Null(allowance.TryTake(100));
        allowance.Settle(100, 700);
        Assert.Equal("tokens", allowance.TryTake(1)!.Value.Limit);
        time.Pass(11);
        Assert.Null(allowance.TryTake(1));
    }

    [Fact]
    public void A_request_refused_for_its_tokens_does_not_count_as_a_request()
    {
        var allowance = new Allowance(Of("a") with { RequestsPerMinute = 1, TokensPerMinute = 60 }, time);
        allowance.Settle(0, 60);
        Assert.Equal("tokens", allowance.TryTake(60)!.Value.Limit);
        allowance.Settle(60, 0);
        Assert.Null(allowance.TryTake(60));
        Assert.Equal("requests", allowance.TryTake(1)!.Value.Limit);
    }

    [Fact]
    public void Keys_are_known_by_their_hash_and_allowances_survive_a_reload()
    {
        var doors = new Doorkeeper(time);
        Assert.Same(Allowance.Unbounded, doors.Recognize(null));
        doors.Apply([Of("a")], 10, 10);
        var allowance = doors.Recognize("Bearer key-of-a");
        Assert.Equal("a", allowance!.Tenant.Name);
        Assert.Null(doors.Recognize("Bearer key-of-b"));
        Assert.Null(doors.Recognize(null));
        doors.Apply([Of("b"), Of("a")], 10, 10);
        Assert.Same(allowance, doors.Recognize("bearer key-of-a"));
        Assert.Equal("b", doors.Recognize("Bearer key-of-b")!.Tenant.Name);
    }

    [Fact]
    public async Task Strangers_are_refused_and_tenants_limited_with_the_time_to_come_back()
    {
        await using var fleet = await TestFleet.StartAsync(1, change: options => options with { Tenants = [Of("a") with { RequestsPerMinute = 1 }] });
        using (var stranger = await fleet.AskAsync("hello")) Assert.Equal(401, (int)stranger.StatusCode);
        using (var tenant = await fleet.AskAsync("hello", key: "key-of-a")) Assert.Equal(200, (int)tenant.StatusCode);
        using var again = await fleet.AskAsync("hello", key: "key-of-a");
        Assert.Equal(429, (int)again.StatusCode);
        Assert.InRange(again.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        // The worker never sees the gateway's key.
        Assert.Null(fleet.Workers[0].LastAuthorization);
        Assert.Contains("tenant=\"a\"", await fleet.TextAsync("/metrics"), StringComparison.Ordinal);
        await fleet.SettleAsync();
    }

    [Fact]
    public async Task With_no_room_requests_wait_and_beyond_that_get_429()
    {
        await using var fleet = await TestFleet.StartAsync(1, _ => TestFleet.Fast with { HangShare = 1 }, options => options with { MaxInside = 1, MaxWaiting = 1 });
        using var leave = new CancellationTokenSource();
        var hung = fleet.AskAsync("one", cancel: leave.Token);
        await TestFleet.UntilAsync(() => fleet.State.Doors.Queue.Inside == 1);
        var waits = fleet.AskAsync("two", cancel: leave.Token);
        await TestFleet.UntilAsync(() => fleet.State.Doors.Queue.Waiting == 1);
        using (var refused = await fleet.AskAsync("three"))
        {
            Assert.Equal(429, (int)refused.StatusCode);
            Assert.NotNull(refused.Headers.RetryAfter);
        }
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hung);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waits);
        await TestFleet.UntilAsync(() => fleet.State.Doors.Queue is { Inside: 0, Waiting: 0 });
        await fleet.SettleAsync();
    }

    private static Tenant Of(string name) => new() { Name = name, KeyHash = Doorkeeper.HashOf($"key-of-{name}") };
}
