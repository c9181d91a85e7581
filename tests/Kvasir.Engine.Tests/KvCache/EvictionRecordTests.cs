using CsCheck;
using Kvasir.Engine.KvCache;

namespace Kvasir.Engine.Tests.KvCache;

public sealed class EvictionRecordTests
{
    [Fact]
    public void The_last_names_are_remembered_with_their_last_reason() => Gen.Select(Gen.Int[1, 8], Gen.Select(Gen.Int[1, 12], Gen.Enum<EvictionReason>()).Array[0, 60]).Sample(static (most, left) =>
    {
        var record = new EvictionRecord(most, TimeProvider.System);
        foreach (var (name, reason) in left) record.Add((UInt128)name, reason);
        Assert.Equal(Math.Min(most, record.Count), record.Count);
        if (left.Length == 0) return;
        Assert.True(record.TryFind((UInt128)left[^1].Item1, out _, out var last));
        Assert.Equal(left[^1].Item2, last);
        for (var name = 1; name <= 12; name++)
            if (record.TryFind((UInt128)name, out _, out var reason)) Assert.Equal(left.Last(entry => entry.Item1 == name).Item2, reason);
    }, iter: 2000);

    [Fact]
    public void Names_come_and_go_in_their_order()
    {
        var record = new EvictionRecord(3, TimeProvider.System);
        for (var name = 1; name <= 5; name++) record.Add((UInt128)name, EvictionReason.Room);
        Assert.Equal([false, false, true, true, true], Enumerable.Range(1, 5).Select(name => record.TryFind((UInt128)name, out _, out _)));
        Assert.False(record.TryFind(9, out var ago, out _));
        Assert.Equal(TimeSpan.Zero, ago);
    }
}
