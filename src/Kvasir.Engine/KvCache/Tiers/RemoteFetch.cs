using System.Diagnostics;

namespace Kvasir.Engine.KvCache.Tiers;

/// <summary>Blocks on their way from a remote tier for one sequence, which waits for them no longer than its limit.</summary>
/// <param name="wanted">The blocks, first to last.</param>
/// <param name="limit">Longest wait.</param>
internal sealed class RemoteFetch(IReadOnlyList<PageLabel> wanted, TimeSpan limit)
{
    private readonly long _started = Stopwatch.GetTimestamp();
    private volatile bool _ended;
    private int _underway;

    /// <summary>The blocks, first to last.</summary>
    public IReadOnlyList<PageLabel> Wanted => wanted;

    /// <summary>Whether the sequence waits no longer.</summary>
    public bool IsLate => Stopwatch.GetElapsedTime(_started) > limit;

    /// <summary>Whether nothing more comes, or not in time.</summary>
    public bool IsDone => IsLate || (_ended && Volatile.Read(ref _underway) == 0);

    /// <summary>A block came.</summary>
    public void Came() => Interlocked.Increment(ref _underway);

    /// <summary>It is in host memory.</summary>
    public void Taken() => Interlocked.Decrement(ref _underway);

    /// <summary>No more will come.</summary>
    public void End() => _ended = true;
}
