namespace Kvasir.Gateway.Fleet;

/// <summary>What the gateway sent to a worker and has not ended: the one place where work in flight is counted.</summary>
public sealed class WorkerLoad
{
    private int _inFlight, _decoding;
    private long _pending, _decodingTokens, _started;

    /// <summary>Requests that have not ended.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>Requests between their first and their last token.</summary>
    public int Decoding => Volatile.Read(ref _decoding);

    /// <summary>Uncached prompt tokens of requests whose first token has not come.</summary>
    public long PendingTokens => Volatile.Read(ref _pending);

    /// <summary>Tokens in the contexts of decoding requests, as far as prompts tell.</summary>
    public long DecodingTokens => Volatile.Read(ref _decodingTokens);

    /// <summary>Requests sent since the start.</summary>
    public long Started => Volatile.Read(ref _started);

    /// <summary>A request was sent; the lease must be disposed of whatever happens.</summary>
    /// <param name="promptTokens">Tokens of its prompt.</param>
    /// <param name="uncachedTokens">Those that the worker probably has to compute.</param>
    public Lease Begin(int promptTokens, int uncachedTokens)
    {
        Interlocked.Increment(ref _inFlight);
        Interlocked.Increment(ref _started);
        var ahead = Interlocked.Add(ref _pending, uncachedTokens);
        return new Lease(this, promptTokens, uncachedTokens, ahead);
    }

    /// <summary>One request's share in the load. Ending twice is harmless.</summary>
    public sealed class Lease : IDisposable
    {
        private const int Prefilling = 0, InDecode = 1, Ended = 2;
        private readonly WorkerLoad _load;
        private readonly int _promptTokens, _uncachedTokens;
        private int _stage;

        internal Lease(WorkerLoad load, int promptTokens, int uncachedTokens, long tokensAhead) =>
            (_load, _promptTokens, _uncachedTokens, TokensAhead) = (load, promptTokens, uncachedTokens, tokensAhead);

        /// <summary>Uncached tokens that the worker had to compute before this request's first token, its own included.</summary>
        public long TokensAhead { get; }

        /// <summary>The first token came. Whether this was the first call.</summary>
        public bool FirstToken()
        {
            if (Interlocked.CompareExchange(ref _stage, InDecode, Prefilling) != Prefilling) return false;
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
            Interlocked.Decrement(ref _load._inFlight);
        }
    }
}
