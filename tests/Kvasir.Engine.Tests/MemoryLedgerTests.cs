namespace Kvasir.Engine.Tests;

public sealed class MemoryLedgerTests
{
    [Fact]
    public void What_is_reserved_is_given_back_once()
    {
        var ledger = new MemoryLedger(100);
        var weights = ledger.Reserve("weights", 60);
        using var kv = ledger.Reserve("kv/device", 30);
        Assert.Equal((90, 10), (ledger.UsedBytes, ledger.FreeBytes));
        Assert.Equal([new LedgerLine("kv/device", 30), new LedgerLine("weights", 60)], ledger.Lines());
        weights.Dispose();
        weights.Dispose();
        Assert.Equal(30, ledger.UsedBytes);
    }

    [Fact]
    public void What_does_not_fit_is_refused_with_the_numbers_and_changes_nothing()
    {
        var ledger = new MemoryLedger(1000);
        using var held = ledger.Reserve("weights", 900);
        var refused = Assert.Throws<MemoryBudgetException>(() => ledger.Reserve("kv/device", 200, "Lower --context."));
        Assert.Equal((200, 100), (refused.NeededBytes, refused.FreeBytes));
        Assert.Equal("kv/device needs 200 B, but 100 B of the memory budget is free. Lower --context.", refused.Message);
        Assert.Equal(900, ledger.UsedBytes);
    }

    [Fact]
    public void Parts_of_a_whole_never_exceed_it_together()
    {
        var whole = new MemoryLedger(100);
        var (first, second) = (new MemoryLedger(80, whole, "first"), new MemoryLedger(80, whole, "second"));
        var weights = first.Reserve("weights", 70);
        Assert.Equal([new LedgerLine("first/weights", 70)], whole.Lines());
        var refused = Assert.Throws<MemoryBudgetException>(() => second.Reserve("weights", 70));
        Assert.Equal((70, 30), (refused.NeededBytes, refused.FreeBytes));
        Assert.Throws<MemoryBudgetException>(() => first.Reserve("kv/device", 20));
        Assert.Equal((70, 0, 70), (first.UsedBytes, second.UsedBytes, whole.UsedBytes));
        weights.Dispose();
        weights.Dispose();
        using var held = second.Reserve("weights", 70);
        Assert.Equal([new LedgerLine("second/weights", 70)], whole.Lines());
        Assert.Equal([[], [new LedgerLine("weights", 70)]], MemoryLedger.LinesOf([first, second]));
    }

    [Fact]
    public async Task Parts_are_seen_at_one_moment()
    {
        var whole = new MemoryLedger(100);
        MemoryLedger[] parts = [.. Enumerable.Range(0, 3).Select(number => new MemoryLedger(100, whole, $"{number}"))];
        using var done = new CancellationTokenSource();
        // What one gives back another takes: looked at one after the other, they seem to hold twice as much.
        var moving = Task.Run(() =>
        {
            for (var i = 0; !done.IsCancellationRequested; i++) parts[i % 3].Reserve("weights", 100).Dispose();
        });
        for (var i = 0; i < 20_000; i++) Assert.InRange(MemoryLedger.LinesOf(parts).Sum(part => part.Sum(line => line.Bytes)), 0, 100);
        await done.CancelAsync();
        await moving;
    }

    [Fact]
    public void Many_threads_never_exceed_the_budget()
    {
        var ledger = new MemoryLedger(50);
        Parallel.For(0, 2000, i =>
        {
            try
            {
                using var held = ledger.Reserve($"owner/{i % 7}", 1 + i % 20);
                Assert.InRange(ledger.UsedBytes, 1, 50);
            }
            catch (MemoryBudgetException)
            {
                // Full at that moment, which is what the bound is for.
            }
        });
        Assert.Equal(0, ledger.UsedBytes);
        Assert.Empty(ledger.Lines());
    }
}
