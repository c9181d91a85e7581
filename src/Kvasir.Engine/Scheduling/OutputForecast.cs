namespace Kvasir.Engine.Scheduling;

/// <summary>
/// How much of what they may write sequences will write, learned from those that ended: room is kept for that much, not
/// for all. A sequence that had to give way shows that too little was kept: more is kept for a while.
/// </summary>
/// <remarks>
/// The share is an exponential mean over ended sequences (1/16 each), from one half at the start; caution multiplies it,
/// by 1.5 at each preemption and back towards 1 by 2 % at each end. Their product stays within 0.02 and 1.
/// </remarks>
internal sealed class OutputForecast
{
    private const double Learning = 1.0 / 16, FirstShare = 0.5, MoreCaution = 1.5, LessCaution = 0.98, LeastShare = 0.02;

    private double _share = FirstShare, _caution = 1;

    /// <summary>Share of the tokens that a sequence may write that it is expected to write, 0.02 to 1.</summary>
    public double Share => Math.Clamp(_share * _caution, LeastShare, 1);

    /// <summary>A sequence ended by itself, after so many of the tokens that it might have written.</summary>
    public void Ended(int written, int allowed)
    {
        if (allowed <= 0) return;
        _share += Learning * (((double)written / allowed) - _share);
        _caution = Math.Max(1, _caution * LessCaution);
    }

    /// <summary>A sequence had to give way for lack of room.</summary>
    public void GaveWay() => _caution = Math.Min(_caution * MoreCaution, 1 / Math.Max(_share, LeastShare));

    /// <summary>Tokens that a sequence is expected to write still; at least one while it may.</summary>
    public int Remaining(Sequence sequence)
    {
        var allowed = sequence.LengthLimit - sequence.Request.Prompt.Length;
        var left = allowed - sequence.Generated;
        return left <= 0 ? 0 : Math.Clamp((int)Math.Ceiling(Share * allowed) - sequence.Generated, 1, left);
    }
}
