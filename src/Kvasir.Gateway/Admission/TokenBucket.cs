namespace Kvasir.Gateway.Admission;

/// <summary>
/// An allowance that refills steadily and holds a minute's worth. What turns out dearer than it was thought makes the
/// allowance negative: the next ones wait it off.
/// </summary>
public sealed class TokenBucket
{
    private readonly TimeProvider _time;
    private readonly double _perSecond, _most;
    private readonly Lock _lock = new();
    private double _left;
    private long _at;

    /// <param name="perMinute">How much comes back in a minute.</param>
    /// <param name="time">The clock.</param>
    public TokenBucket(double perMinute, TimeProvider time)
    {
        (_time, _perSecond, _most, _left) = (time, perMinute / 60, perMinute, perMinute);
        _at = time.GetTimestamp();
    }

    /// <summary>Takes an amount; where there is not enough, takes nothing and says when there will be.</summary>
    /// <param name="amount">How much. More than a minute's worth is taken from a full bucket.</param>
    public TimeSpan? TryTake(double amount)
    {
        lock (_lock)
        {
            Refill();
            var needed = Math.Min(amount, _most);
            if (_left < needed) return TimeSpan.FromSeconds((needed - _left) / _perSecond);
            _left -= amount;
            return null;
        }
    }

    /// <summary>Gives back what was taken too much; a negative amount takes what was taken too little.</summary>
    public void Return(double amount)
    {
        lock (_lock)
        {
            Refill();
            _left = Math.Min(_most, _left + amount);
        }
    }

    private void Refill()
    {
        _left = Math.Min(_most, _left + (_time.GetElapsedTime(_at).TotalSeconds * _perSecond));
        _at = _time.GetTimestamp();
    }
}
