using Kvasir.Engine.Inspection;

namespace Kvasir.Engine.Tests.Inspection;

public sealed class GrowthWindowTests
{
    private readonly HandClock _clock = new();

    [Fact]
    public void Growth_is_the_difference_over_the_window()
    {
        var window = new GrowthWindow(_clock);
        for (var second = 0; second <= 200; second++)
        {
            window.Add(second * 1000);
            _clock.Advance(1);
        }
        Assert.Equal(1000, window.BytesPerSecond(), 20.0);
        Assert.Equal(5, window.SecondsUntilFull(5000)!.Value, 0.1);
    }

    [Fact]
    public void What_stands_still_or_shrinks_is_never_full()
    {
        var window = new GrowthWindow(_clock);
        Assert.Null(window.SecondsUntilFull(1));
        window.Add(1000);
        _clock.Advance(10);
        Assert.Equal(0, window.BytesPerSecond());
        window.Add(500);
        Assert.Equal(-50, window.BytesPerSecond());
        Assert.Null(window.SecondsUntilFull(1));
    }

    [Fact]
    public void Growth_is_forgotten_after_the_window()
    {
        var window = new GrowthWindow(_clock);
        window.Add(0);
        _clock.Advance(5);
        window.Add(1000);
        Assert.Equal(200, window.BytesPerSecond());
        _clock.Advance(55);
        Assert.Equal(1000.0 / 60, window.BytesPerSecond());
        _clock.Advance(10);
        Assert.Equal(0, window.BytesPerSecond());
    }

    [Fact]
    public void Of_many_sizes_in_a_second_the_last_one_counts()
    {
        var window = new GrowthWindow(_clock);
        window.Add(0);
        _clock.Advance(2);
        for (var i = 0; i < 10_000; i++) window.Add(i);
        Assert.Equal(9999 / 2.0, window.BytesPerSecond());
    }

    [Fact]
    public void A_clock_that_was_set_back_starts_anew()
    {
        var window = new GrowthWindow(_clock);
        window.Add(0);
        _clock.Advance(10);
        window.Add(1000);
        _clock.Advance(-8);
        window.Add(2000);
        Assert.Equal(0, window.BytesPerSecond());
        _clock.Advance(1);
        window.Add(2010);
        Assert.Equal(10, window.BytesPerSecond());
    }

    /// <summary>A clock that moves by hand.</summary>
    private sealed class HandClock : TimeProvider
    {
        private long _now = 1000;

        public override long TimestampFrequency => 10;

        public override long GetTimestamp() => _now;

        public void Advance(int seconds) => _now += 10 * seconds;
    }
}
