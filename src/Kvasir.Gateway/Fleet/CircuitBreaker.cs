namespace Kvasir.Gateway.Fleet;

/// <summary>
/// Opens after consecutive failures, so that a sick worker costs no further requests; after a pause one request may try,
/// and its success closes the breaker. Each failed try doubles the pause.
/// </summary>
public sealed class CircuitBreaker(TimeProvider time)
{
    private const int Threshold = 3;
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(2), LongestPause = TimeSpan.FromSeconds(60);
    private readonly Lock _lock = new();
    private int _failures;
    private TimeSpan _pause = FirstPause;
    private long _openedAt;
    private bool _open, _trying;

    /// <summary>Whether requests are held back.</summary>
    public bool IsOpen
    {
        get { lock (_lock) return _open; }
    }

    /// <summary>Whether a request could be sent now; nothing changes.</summary>
    public bool WouldAllow()
    {
        lock (_lock) return !_open || !_trying && time.GetElapsedTime(_openedAt) >= _pause;
    }

    /// <summary>A request is being sent: an open breaker lets only this one through.</summary>
    public void Enter()
    {
        lock (_lock)
            if (_open) _trying = true;
    }

    /// <summary>A request was answered.</summary>
    public void Succeed()
    {
        lock (_lock) (_failures, _open, _trying, _pause) = (0, false, false, FirstPause);
    }

    /// <summary>A request ended in a way that says nothing about the worker: its client left.</summary>
    public void Forget()
    {
        lock (_lock) _trying = false;
    }

    /// <summary>A request failed through the worker's fault.</summary>
    public void Fail()
    {
        lock (_lock)
        {
            _failures++;
            if (_open) _pause = TimeSpan.FromTicks(Math.Min(LongestPause.Ticks, _pause.Ticks * 2));
            if (_open || _failures >= Threshold) (_open, _trying, _openedAt) = (true, false, time.GetTimestamp());
        }
    }
}
