namespace Kvasir.Gateway.Tests;

/// <summary>The system's clock, which can be moved ahead: timers run as they do, stamps jump.</summary>
internal sealed class ShiftedTime : TimeProvider
{
    private long shift;

    public override long GetTimestamp() => base.GetTimestamp() + Volatile.Read(ref shift);

    public void Pass(TimeSpan time) => Interlocked.Add(ref shift, (long)(time.TotalSeconds * TimestampFrequency));
}
