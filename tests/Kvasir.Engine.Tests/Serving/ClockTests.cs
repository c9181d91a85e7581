namespace Kvasir.Engine.Tests.Serving;

public sealed class ClockTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_clock_that_jumps_changes_no_text(int seed)
    {
        var options = SteppedEngine.Roomy with { KvTokens = 256, KvHostBytes = 1 << 18, Warn = static _ => { } };
        var expected = await RunAsync(options, TimeProvider.System);
        Assert.Equal(expected, await RunAsync(options, new JumpingTime(seed)));
    }

    private static async Task<int[][]> RunAsync(EngineOptions options, TimeProvider time)
    {
        await using var engine = new SteppedEngine(options, time: time);
        var replies = Enumerable.Range(0, 12).Select(i => engine.Submit(SteppedEngine.Ask(40 + i, 30, (ulong)i, i % 3))).ToArray();
        engine.Finish();
        Assert.Equal(0, engine.State.KvBlocksUsed);
        return [.. replies.Select(reply => reply.Text)];
    }

    /// <summary>Hours forth and back at every look, in both of its clocks.</summary>
    private sealed class JumpingTime(int seed) : TimeProvider
    {
        private readonly Random _random = new(seed);

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddHours(_random.Next(1_000_000));

        public override long GetTimestamp() => _random.NextInt64(3600L * TimestampFrequency);
    }
}
