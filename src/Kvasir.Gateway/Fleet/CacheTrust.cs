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

/// <summary>
/// Compares predicted cached tokens with those that the worker reported, and says how much a prediction is worth. A few
/// requests are enough to notice that a source is wrong, whatever the reason.
/// </summary>
public sealed class CacheTrust
{
    private const double Memory = 0.8, PriorTokens = 256, DegradedBelow = 0.9, FallbackBelow = 0.4;
    private const int DoubtRequests = 50;
    private readonly Lock _lock = new();
    private double _predicted, _confirmed;
    private long _compared;
    private int _doubt;

    /// <summary>Requests whose prediction was compared.</summary>
    public long Compared { get { lock (_lock) return _compared; } }

    /// <summary>What a predicted token is worth, 0 to 1.</summary>
    public double Factor
    {
        get { lock (_lock) return FactorLocked(); }
    }

    /// <summary>The state, given whether events arrive.</summary>
    public TrustState State(bool fromEvents)
    {
        lock (_lock)
        {
            var factor = FactorLocked();
            return factor < FallbackBelow ? TrustState.Fallback : fromEvents && _doubt == 0 && factor >= DegradedBelow ? TrustState.Exact : TrustState.Degraded;
        }
    }

    /// <summary>The worker said how much of a prompt it had.</summary>
    /// <param name="predictedTokens">What was predicted, before any discount.</param>
    /// <param name="actualTokens">What it reported.</param>
    public void Observe(double predictedTokens, double actualTokens)
    {
        lock (_lock)
        {
            _compared++;
            if (_doubt > 0) _doubt--;
            if (predictedTokens <= 0) return;
            _predicted = _predicted * Memory + predictedTokens;
            _confirmed = _confirmed * Memory + Math.Min(predictedTokens, actualTokens);
        }
    }

    /// <summary>Events were lost and could not be replayed: what is left is not everything, until enough requests have come and gone.</summary>
    public void MarkLossy()
    {
        lock (_lock) _doubt = DoubtRequests;
    }

    /// <summary>Forgets: the worker restarted.</summary>
    public void Reset()
    {
        lock (_lock) (_predicted, _confirmed, _doubt) = (0, 0, 0);
    }

    private double FactorLocked() => (_confirmed + PriorTokens) / (_predicted + PriorTokens);
}
