using Kvasir.Gateway.Admission;

namespace Kvasir.Gateway.Tests.Admission;

public sealed class FairQueueTests
{
    [Fact]
    public async Task A_tenant_that_asks_for_much_does_not_keep_another_waiting()
    {
        var queue = new FairQueue(1, 1000);
        Assert.True(await queue.EnterAsync(Named("first"), 1, default));
        var greedy = Enumerable.Range(0, 20).Select(_ => queue.EnterAsync(Named("greedy"), 1, default).AsTask()).ToList();
        var modest = Enumerable.Range(0, 3).Select(_ => queue.EnterAsync(Named("modest"), 1, default).AsTask()).ToList();
        // Three of the first six places are the modest one's, though it came last.
        for (var i = 0; i < 6; i++) queue.Leave();
        Assert.All(await Task.WhenAll(modest), Assert.True);
        Assert.Equal(17, queue.Waiting);
        for (var i = 0; i < 18; i++) queue.Leave();
        Assert.All(await Task.WhenAll(greedy), Assert.True);
        Assert.Equal(0, queue.Inside);
    }

    [Fact]
    public async Task Weights_divide_what_is_served()
    {
        var queue = new FairQueue(1, 1000);
        Assert.True(await queue.EnterAsync(Named("first"), 1, default));
        var heavy = Named("heavy") with { Weight = 3 };
        var waiting = new List<(string Name, Task<bool> Entry)>();
        for (var i = 0; i < 40; i++)
        {
            waiting.Add(("heavy", queue.EnterAsync(heavy, 1, default).AsTask()));
            waiting.Add(("light", queue.EnterAsync(Named("light"), 1, default).AsTask()));
        }
        for (var i = 0; i < 20; i++) queue.Leave();
        await TestFleet.UntilAsync(() => waiting.Count(entry => entry.Entry.IsCompleted) == 20);
        Assert.InRange(waiting.Count(entry => entry.Entry.IsCompleted && entry.Name == "heavy"), 14, 16);
        for (var i = 0; i < 61; i++) queue.Leave();
        Assert.Equal((0, 0), (queue.Inside, queue.Waiting));
    }

    [Fact]
    public async Task A_tenant_with_long_prompts_gets_no_more_tokens_than_one_with_short_ones()
    {
        const int Long = 8000, Short = 500;
        var queue = new FairQueue(1, 1000);
        Assert.True(await queue.EnterAsync(Named("first"), 1, default));
        var waiting = new List<(int Tokens, Task<bool> Entry)>();
        for (var i = 0; i < 200; i++) waiting.Add((Long, queue.EnterAsync(Named("long"), Long, default).AsTask()));
        for (var i = 0; i < 200; i++) waiting.Add((Short, queue.EnterAsync(Named("short"), Short, default).AsTask()));
        for (var i = 0; i < 170; i++) queue.Leave();
        await TestFleet.UntilAsync(() => waiting.Count(entry => entry.Entry.IsCompleted) == 170);
        var served = waiting.Where(entry => entry.Entry.IsCompleted).ToLookup(entry => entry.Tokens, entry => entry.Tokens);
        Assert.InRange(served[Long].Sum() - served[Short].Sum(), -Long, Long);
    }

    [Fact]
    public async Task What_took_more_than_it_was_thought_to_is_waited_off_by_its_tenant()
    {
        var queue = new FairQueue(1, 10);
        await queue.EnterAsync(Named("first"), 1, default);
        var (a, b) = (queue.EnterAsync(Named("a"), 10, default).AsTask(), queue.EnterAsync(Named("b"), 10, default).AsTask());
        queue.Settle(Named("a"), 10, 1000);
        var (againA, againB) = (queue.EnterAsync(Named("a"), 10, default).AsTask(), queue.EnterAsync(Named("b"), 10, default).AsTask());
        for (var i = 0; i < 3; i++) queue.Leave();
        Assert.True(await a && await b && await againB);
        Assert.False(againA.IsCompleted);
        queue.Leave();
        Assert.True(await againA);
    }

    [Fact]
    public async Task Within_a_tenant_the_first_goes_first_however_cheap_those_before_were()
    {
        var queue = new FairQueue(1, 10);
        await queue.EnterAsync(Named("first"), 1, default);
        var (one, two) = (queue.EnterAsync(Named("a"), 1000, default).AsTask(), queue.EnterAsync(Named("a"), 1000, default).AsTask());
        queue.Settle(Named("a"), 5000, 1);
        var three = queue.EnterAsync(Named("a"), 1000, default).AsTask();
        queue.Leave();
        queue.Leave();
        Assert.True(await one && await two);
        Assert.False(three.IsCompleted);
        queue.Leave();
        Assert.True(await three);
    }

    [Fact]
    public async Task A_higher_priority_goes_first()
    {
        var queue = new FairQueue(1, 10);
        await queue.EnterAsync(Named("first"), 1, default);
        var low = queue.EnterAsync(Named("low") with { Priority = RequestPriority.Low }, 1, default).AsTask();
        var normal = queue.EnterAsync(Named("normal"), 1, default).AsTask();
        var high = queue.EnterAsync(Named("high") with { Priority = RequestPriority.High }, 1, default).AsTask();
        queue.Leave();
        Assert.True(await high);
        Assert.False(normal.IsCompleted);
        queue.Leave();
        Assert.True(await normal);
        Assert.False(low.IsCompleted);
        queue.Leave();
        Assert.True(await low);
    }

    [Fact]
    public async Task Beyond_its_bound_the_queue_refuses()
    {
        var queue = new FairQueue(1, 1);
        Assert.True(await queue.EnterAsync(Named("a"), 1, default));
        var waits = queue.EnterAsync(Named("a"), 1, default);
        Assert.False(await queue.EnterAsync(Named("a"), 1, default));
        queue.Leave();
        Assert.True(await waits);
    }

    [Fact]
    public async Task Whoever_leaves_the_queue_takes_no_room()
    {
        var queue = new FairQueue(1, 10);
        await queue.EnterAsync(Named("a"), 1, default);
        using var leave = new CancellationTokenSource();
        var waits = queue.EnterAsync(Named("a"), 1, leave.Token).AsTask();
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waits);
        queue.Leave();
        Assert.Equal((0, 0), (queue.Inside, queue.Waiting));
    }

    private static Tenant Named(string name) => new() { Name = name, KeyHash = "" };
}
