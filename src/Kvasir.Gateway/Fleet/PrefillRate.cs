namespace Kvasir.Gateway.Fleet;

/// <summary>
/// Tokens per second that a worker prefills, learnt from times to first tokens: what was pending when a request was sent,
/// its own uncached tokens included, over the time its first token took. Short prompts tell latency rather than rate and
/// count by their size.
/// </summary>
public sealed class PrefillRate
{
    /// <summary>What an unknown worker is taken for, in tokens per second; the fleet's mean replaces it as soon as there is one.</summary>
    public const double Prior = 4000;

    private const double LeastTokens = 64, HalfLifeTokens = 60_000, FadeSeconds = 600;
    private readonly Lock _lock = new();
    private double _tokens, _seconds, _observedAt;

    /// <summary>Whether anything was measured.</summary>
    public bool IsMeasured => Volatile.Read(ref _tokens) > 0;

    /// <summary>Tokens per second.</summary>
    /// <param name="prior">What to say before anything was measured.</param>
    public double Value(double prior = Prior)
    {
        lock (_lock) return _tokens <= 0 ? prior : Math.Max(1, _tokens / _seconds);
    }

    /// <summary>
    /// Tokens per second as far as they are known now: what was measured long ago counts less and less against
    /// <paramref name="prior"/>, so that a worker that was slow once is tried again.
    /// </summary>
    /// <param name="prior">What to say where nothing was measured.</param>
    /// <param name="nowSeconds">The time, on the clock of <see cref="Observe(double, double, double)"/>.</param>
    public double Value(double prior, double nowSeconds)
    {
        lock (_lock)
        {
            if (_tokens <= 0) return prior;
            var kept = Math.Exp(-Math.Max(0, nowSeconds - _observedAt) / FadeSeconds);
            return (Math.Max(1, _tokens / _seconds) * kept) + (prior * (1 - kept));
        }
    }

    /// <summary>A first token came.</summary>
    /// <param name="tokens">Uncached tokens that were ahead of it, its own included.</param>
    /// <param name="seconds">From sending to the first token.</param>
    /// <param name="nowSeconds">The time, on any clock that all calls share.</param>
    public void Observe(double tokens, double seconds, double nowSeconds = 0)
    {
        if (tokens < LeastTokens || seconds <= 0) return;
        lock (_lock)
        {
            _observedAt = nowSeconds;
            var keep = Math.Pow(0.5, tokens / HalfLifeTokens);
            _tokens = _tokens * keep + tokens;
            _seconds = _seconds * keep + seconds;
        }
    }

    /// <summary>Forgets: the worker restarted.</summary>
    public void Reset()
    {
        lock (_lock) (_tokens, _seconds) = (0, 0);
    }
}
