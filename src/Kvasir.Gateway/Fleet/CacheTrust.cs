namespace Kvasir.Gateway.Fleet;

/// <summary>How well a worker's cache is known.</summary>
public enum TrustState
{
    /// <summary>From its events, and predictions come true.</summary>
    Exact,
    /// <summary>From what was sent there, or predictions come true in part.</summary>
    Degraded,
    /// <summary>Predictions do not come true: the prompt's tokens, the salt, the block size or the events differ from the worker's.</summary>
    Fallback,
}

/// <summary>Why a worker's cache is not known exactly.</summary>
public enum TrustDoubt
{
    /// <summary>Nothing speaks against it.</summary>
    None,
    /// <summary>Tokens were predicted that the worker did not have.</summary>
    PredictedTooMuch,
    /// <summary>The worker had tokens that its events did not tell of.</summary>
    EventsMissing,
    /// <summary>Messages were lost, or could not be read.</summary>
    EventsLost,
}

/// <summary>
/// Compares predicted cached tokens with those that the worker reported, and says how much a prediction is worth. A few
/// requests are enough to notice that a source is wrong, whatever the reason: too much is predicted (a worker's salt,
/// blocks or evictions are not what its events say), or too little (its tokens are not those that it was asked for).
/// </summary>
public sealed class CacheTrust
{
    private const double Memory = 0.8, PriorTokens = 256, DegradedBelow = 0.9, FallbackBelow = 0.4;
    private const int DoubtRequests = 50;
    private readonly Lock _lock = new();
    private double _predicted, _confirmed, _found, _foretold;
    private long _compared;
    private int _lossy, _missing;

    /// <summary>Requests whose prediction was compared.</summary>
    public long Compared { get { lock (_lock) return _compared; } }

    /// <summary>What a predicted token is worth, 0 to 1.</summary>
    public double Factor
    {
        get { lock (_lock) return FactorLocked(); }
    }

    /// <summary>Whether events lately did not tell of most tokens that were found: until they are tried again, what was sent there says more.</summary>
    public bool AreEventsMissing { get { lock (_lock) return _missing > 0; } }

    /// <summary>What speaks against predictions, the gravest first.</summary>
    public TrustDoubt Doubt
    {
        get
        {
            lock (_lock)
                return FactorLocked() < FallbackBelow ? TrustDoubt.PredictedTooMuch : _missing > 0 ? TrustDoubt.EventsMissing : _lossy > 0 ? TrustDoubt.EventsLost
                    : FactorLocked() < DegradedBelow ? TrustDoubt.PredictedTooMuch : TrustDoubt.None;
        }
    }

    /// <summary>The state, given whether events arrive.</summary>
    public TrustState State(bool fromEvents)
    {
        lock (_lock)
        {
            var factor = FactorLocked();
            return factor < FallbackBelow || _missing > 0 ? TrustState.Fallback : fromEvents && _lossy == 0 && factor >= DegradedBelow ? TrustState.Exact : TrustState.Degraded;
        }
    }

    /// <summary>The worker said how much of a prompt it had.</summary>
    /// <param name="predictedTokens">What was predicted, before any discount.</param>
    /// <param name="actualTokens">What it reported.</param>
    /// <param name="fromEvents">Whether its events answered for the prompt.</param>
    public void Observe(double predictedTokens, double actualTokens, bool fromEvents = false)
    {
        lock (_lock)
        {
            _compared++;
            if (_lossy > 0) _lossy--;
            if (_missing > 0) _missing--;
            if (fromEvents && actualTokens > 0)
            {
                _found = (_found * Memory) + actualTokens;
                _foretold = (_foretold * Memory) + Math.Min(predictedTokens, actualTokens);
                if ((_foretold + PriorTokens) / (_found + PriorTokens) < FallbackBelow) (_missing, _found, _foretold) = (DoubtRequests, 0, 0);
            }
            if (predictedTokens <= 0) return;
            _predicted = _predicted * Memory + predictedTokens;
            _confirmed = _confirmed * Memory + Math.Min(predictedTokens, actualTokens);
        }
    }

    /// <summary>Events were lost and could not be replayed: what is left is not everything, until enough requests have come and gone.</summary>
    public void MarkLossy()
    {
        lock (_lock) _lossy = DoubtRequests;
    }

    /// <summary>Forgets: the worker restarted.</summary>
    public void Reset()
    {
        lock (_lock) (_predicted, _confirmed, _found, _foretold, _lossy, _missing) = (0, 0, 0, 0, 0, 0);
    }

    private double FactorLocked() => (_confirmed + PriorTokens) / (_predicted + PriorTokens);
}
