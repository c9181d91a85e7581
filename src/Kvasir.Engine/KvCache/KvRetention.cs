namespace Kvasir.Engine.KvCache;

/// <summary>How long a request's keys and values are wanted after it: a hint to eviction, which no running request ever waits for.</summary>
/// <param name="Priority">0 to 100; higher outlives lower. 50 is that of requests without a hint.</param>
/// <param name="Time">After that the priority is 50 again.</param>
public readonly record struct KvRetention(int Priority, TimeSpan Time)
{
    /// <summary>Priority of requests without a hint.</summary>
    public const int NormalPriority = 50;

    /// <summary>Highest priority.</summary>
    public const int HighestPriority = 100;

    /// <summary>How long a hint lasts that does not say: stale hints shall not fill the cache for ever.</summary>
    public static readonly TimeSpan DefaultTime = TimeSpan.FromHours(1);

    /// <summary>Longest time.</summary>
    public static readonly TimeSpan MostTime = TimeSpan.FromDays(30);
}
