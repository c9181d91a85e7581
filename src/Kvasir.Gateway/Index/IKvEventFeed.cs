namespace Kvasir.Gateway.Index;

/// <summary>What brings a worker's cache events, until it is disposed of.</summary>
public interface IKvEventFeed : IDisposable
{
    /// <summary>What came so far.</summary>
    KvEventCounts Counts { get; }
}

/// <summary>What came of a worker's events since the gateway listens to it.</summary>
/// <param name="Received">Messages.</param>
/// <param name="Lost">Messages that were lost for good.</param>
/// <param name="Gaps">Gaps that were found, filled or not.</param>
/// <param name="Unreadable">Messages in a form that is not known.</param>
/// <param name="Restarts">Restarts of the publisher that its numbers told of.</param>
/// <param name="NewestSeconds">When the newest was sent, by the publisher's clock, in seconds since 1970.</param>
public readonly record struct KvEventCounts(long Received, long Lost, long Gaps, long Unreadable, long Restarts, double NewestSeconds)
{
    /// <summary>Those of a stream.</summary>
    internal static KvEventCounts Of(KvEventStream stream) => new(stream.Received, stream.Lost, stream.Gaps, stream.Unreadable, stream.Restarts, stream.NewestSeconds);

    /// <summary>Those of several streams together.</summary>
    public static KvEventCounts operator +(KvEventCounts a, KvEventCounts b) =>
        new(a.Received + b.Received, a.Lost + b.Lost, a.Gaps + b.Gaps, a.Unreadable + b.Unreadable, a.Restarts + b.Restarts, Math.Max(a.NewestSeconds, b.NewestSeconds));
}
