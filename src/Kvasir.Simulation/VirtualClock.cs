namespace Kvasir.Simulation;

/// <summary>A clock that stands still until it is moved.</summary>
public sealed class VirtualClock : TimeProvider
{
    /// <summary>Seconds since the start.</summary>
    public double Seconds { get; set; }

    /// <inheritdoc/>
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <inheritdoc/>
    public override long GetTimestamp() => (long)(Seconds * TimeSpan.TicksPerSecond);

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddTicks(GetTimestamp());
}
