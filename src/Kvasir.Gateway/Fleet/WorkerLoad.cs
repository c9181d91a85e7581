namespace Kvasir.Gateway.Fleet;

/// <summary>What the gateway sent to a worker and has not ended: the one place where work in flight is counted.</summary>
/// <param name="time">The clock that says when requests ended; the system's unless told otherwise.</param>
public sealed class WorkerLoad(TimeProvider? time = null)
{
    /// <summary>However long it takes, a prompt without a first token is not nearly done.</summary>
    private const double LeastRemaining = 0.1;

    /// <summary>Seconds in which what was sent fades to 1/e: several turns of a conversation, and long beside a queue.</summary>
    private const double FadeSeconds = 120;

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Lock _recentLock = new();
    private double _recent, _recentCached, _recentSeconds;
    private int _inFlight, _decoding;
    private long _pending, _decodingTokens, _started, _endedAt;
    private double _progressSeconds;

    /// <summary>Requests that have not ended.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>When a request ended last, as the clock's stamp; 0 for never.</summary>
    public long EndedAt => Volatile.Read(ref _endedAt);

    /// <summary>Requests between their first and their last token.</summary>
    public int Decoding => Volatile.Read(ref _decoding);

    /// <summary>Uncached prompt tokens of requests whose first token has not come.</summary>
    public long PendingTokens => Volatile.Read(ref _pending);

    /// <summary>
    /// Of the pending tokens, those that remain if the worker has computed at its rate since it last gave a first token or
    /// got its first prompt.
    /// </summary>
    /// <param name="nowSeconds">The time, on the clock of <see cref="Begin"/>.</param>
    /// <param name="tokensPerSecond">The worker's prefill rate.</param>
    public double RemainingTokens(double nowSeconds, double tokensPerSecond)
    {
        var pending = PendingTokens;
        // At most the prompt at the head can be nearly done: the others begin after its first token.
        var others = 1 - (1.0 / Math.Max(1, InFlight - Decoding));
        return Math.Max(Math.Max(LeastRemaining, others) * pending, pending - (Math.Max(0, nowSeconds - Volatile.Read(ref _progressSeconds)) * tokensPerSecond));
    }

    /// <summary>Uncached prompt tokens sent lately, fading over two minutes.</summary>
    /// <param name="nowSeconds">The time, on the clock of <see cref="Begin"/>.</param>
    public double RecentTokens(double nowSeconds)
    {
        lock (_recentLock) return _recent * Kept(nowSeconds);
    }

    /// <summary>Prompt tokens sent lately that the worker did not have to compute, fading over two minutes.</summary>
    /// <param name="nowSeconds">The time, on the clock of <see cref="Begin"/>.</param>
    public double RecentCachedTokens(double nowSeconds)
    {
        lock (_recentLock) return _recentCached * Kept(nowSeconds);
    }

    /// <summary>Tokens in the contexts of decoding requests, as far as prompts tell.</summary>
    public long DecodingTokens => Volatile.Read(ref _decodingTokens);

    /// <summary>Requests sent since the start.</summary>
    public long Started => Volatile.Read(ref _started);

    /// <summary>A request was sent; the lease must be disposed of whatever happens.</summary>
    /// <param name="promptTokens">Tokens of its prompt.</param>
    /// <param name="uncachedTokens">Those that the worker probably has to compute.</param>
    /// <param name="nowSeconds">The time, on any clock that all calls share.</param>
    /// <param name="tokensPerSecond">The worker's prefill rate.</param>
    public Lease Begin(int promptTokens, int uncachedTokens, double nowSeconds, double tokensPerSecond)
    {
        Interlocked.Increment(ref _inFlight);
        Interlocked.Increment(ref _started);
        lock (_recentLock)
        {
            var kept = Kept(nowSeconds);
            (_recent, _recentCached) = ((_recent * kept) + uncachedTokens, (_recentCached * kept) + Math.Max(0, promptTokens - uncachedTokens));
            _recentSeconds = Math.Max(_recentSeconds, nowSeconds);
        }
        var ahead = RemainingTokens(nowSeconds, tokensPerSecond) + uncachedTokens;
        if (Interlocked.Add(ref _pending, uncachedTokens) == uncachedTokens) Volatile.Write(ref _progressSeconds, nowSeconds);
        return new Lease(this, promptTokens, uncachedTokens, ahead);
    }

    private double Kept(double nowSeconds) => Math.Exp(-Math.Max(0, nowSeconds - _recentSeconds) / FadeSeconds);

    /// <summary>One request's share in the load. Ending twice is harmless.</summary>
    public sealed class Lease : IDisposable
    {
        private const int Prefilling = 0, InDecode = 1, Ended = 2;
        private readonly WorkerLoad _load;
        private readonly int _promptTokens, _uncachedTokens;
        private int _stage;

        internal Lease(WorkerLoad load, int promptTokens, int uncachedTokens, double tokensAhead) =>
            (_load, _promptTokens, _uncachedTokens, TokensAhead) = (load, promptTokens, uncachedTokens, tokensAhead);

        /// <summary>Uncached tokens that the worker had to compute before this request's first token, its own included.</summary>
        public double TokensAhead { get; }

        /// <summary>The first token came. Whether this was the first call.</summary>
        public bool FirstToken(double nowSeconds)
        {
            if (Interlocked.CompareExchange(ref _stage, InDecode, Prefilling) != Prefilling) return false;
            Volatile.Write(ref _load._progressSeconds, nowSeconds);
            Interlocked.Add(ref _load._pending, -_uncachedTokens);
            Interlocked.Add(ref _load._decodingTokens, _promptTokens);
            Interlocked.Increment(ref _load._decoding);
            return true;
        }

        /// <inheritdoc/>
        public void Dispose()
        {
            var stage = Interlocked.Exchange(ref _stage, Ended);
            if (stage == Ended) return;
            if (stage == Prefilling) Interlocked.Add(ref _load._pending, -_uncachedTokens);
            else
            {
                Interlocked.Decrement(ref _load._decoding);
                Interlocked.Add(ref _load._decodingTokens, -_promptTokens);
            }
            Volatile.Write(ref _load._endedAt, _load._time.GetTimestamp());
            Interlocked.Decrement(ref _load._inFlight);
        }
    }
}
