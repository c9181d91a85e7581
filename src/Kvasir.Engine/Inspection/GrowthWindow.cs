namespace Kvasir.Engine.Inspection;

/// <summary>
/// How fast a size grew over the last minute: the difference between now and the window's beginning. Keeps one sample a
/// second, allocates nothing after it was made. For one thread.
/// </summary>
/// <param name="time">The clock.</param>
internal sealed class GrowthWindow(TimeProvider time)
{
    /// <summary>Seconds that the window covers.</summary>
    public const int Seconds = 60;

    // The seconds of the window, and the last sample before it, from which it begins.
    private readonly (long Second, long Bytes)[] _samples = new (long, long)[Seconds + 2];
    private int _first, _count;

    /// <summary>Takes the size as it is now; of a second's sizes the last one stays.</summary>
    public void Add(long bytes)
    {
        var second = Now;
        if (_count > 0 && At(_count - 1).Second == second)
        {
            At(_count - 1).Bytes = bytes;
            return;
        }
        // A clock that was set back starts the window anew.
        if (_count > 0 && second < At(_count - 1).Second) _count = 0;
        Forget(second);
        At(_count++) = (second, bytes);
    }

    /// <summary>Bytes per second over the window, negative when it shrank; 0 while there is less than a second of it.</summary>
    public double BytesPerSecond()
    {
        var now = Now;
        Forget(now);
        if (_count == 0) return 0;
        // What was sampled before the window stood until the window began.
        var (start, before) = At(0);
        var seconds = Math.Min(Seconds, now - start);
        return seconds <= 0 ? 0 : (double)(At(_count - 1).Bytes - before) / seconds;
    }

    /// <summary>Seconds until <paramref name="free"/> bytes are gone at this speed; null when the size does not grow.</summary>
    public double? SecondsUntilFull(long free) => BytesPerSecond() is var speed and > 0 ? free / speed : null;

    private long Now => time.GetTimestamp() / time.TimestampFrequency;

    private ref (long Second, long Bytes) At(int index) => ref _samples[(_first + index) % _samples.Length];

    private void Forget(long second)
    {
        for (; _count > 1 && At(1).Second <= second - Seconds; _count--) _first = (_first + 1) % _samples.Length;
    }
}
