namespace Kvasir.Gateway.Policies;

/// <summary>
/// The default: the worker with the fewest estimated seconds until the first token. What is queued there and what this
/// prompt would add, at the rate measured there; plus what slower tiers take to give blocks back. Where prompts queue,
/// what one computes delays those behind it: uncached tokens weigh more the longer queues are, so that a busy fleet
/// leans towards its caches and a quiet one towards free workers.
/// </summary>
public sealed class SecondsPolicy : IRoutingPolicy
{
    /// <summary>A prompt's own seconds weigh more by the requests that wait, on average, at a worker, to this power: whoever waits is delayed, and so is who comes to wait.</summary>
    private const double DelayPower = 1.2;
    /// <summary>Seconds that a running decode counts: steps it shares with the prompt, memory it holds until it ends.</summary>
    private const double DecodeSeconds = 0.05;
    /// <summary>Share of the prompt's own time that each running decode counts: it waits while the prompt is read.</summary>
    private const double DecodeShare = 0.05;

    /// <summary>Weights of a second within the goal and of one beyond it.</summary>
    private const double WithinGoal = 0.1, BeyondGoal = 10;

    /// <summary>A worker that just started counts as this much slower than it is, falling to nothing while it warms up.</summary>
    private const double ColdPenalty = 3;

    /// <inheritdoc/>
    public string Name => "kvasir";

    /// <inheritdoc/>
    public bool ReadsRates => true;

    /// <inheritdoc/>
    public int Choose(in RoutingSnapshot snapshot)
    {
        var lowest = new Choice.Lowest(snapshot.Draw);
        var waiting = 0.0;
        foreach (var candidate in snapshot.Candidates) waiting += candidate.InFlight - candidate.Decoding;
        var delay = Math.Pow(waiting / snapshot.Candidates.Length, DelayPower);
        for (var i = 0; i < snapshot.Candidates.Length; i++)
        {
            var candidate = snapshot.Candidates[i];
            var own = Uncached(candidate, snapshot.PromptTokens) / candidate.PrefillRate;
            var seconds = Seconds(candidate, snapshot.PromptTokens);
            // Within the goal, sooner is no better: what it costs the fleet decides. Beyond it, every second counts much.
            var felt = snapshot.GoalSeconds <= 0 ? seconds : seconds <= snapshot.GoalSeconds ? WithinGoal * seconds : seconds + BeyondGoal * (seconds - snapshot.GoalSeconds);
            lowest.Offer(i, felt + own * (delay + DecodeShare * candidate.Decoding + (snapshot.GoalSeconds > 0 ? 1 : 0)) + DecodeSeconds * candidate.Decoding);
        }
        return lowest.Index;
    }

    /// <summary>Estimated seconds until a prompt's first token.</summary>
    /// <param name="candidate">The worker.</param>
    /// <param name="promptTokens">The prompt.</param>
    public static double Seconds(in Candidate candidate, double promptTokens)
    {
        var uncached = Uncached(candidate, promptTokens);
        var mean = candidate.InFlight > candidate.Decoding ? candidate.PendingTokens / (candidate.InFlight - candidate.Decoding) : uncached;
        var queued = candidate.PendingTokens + candidate.OthersWaiting * mean;
        var seconds = (queued + uncached) / candidate.PrefillRate;
        if (candidate.SlowCachedTokens > 0) seconds += candidate.SlowCachedTokens / candidate.FetchRate;
        return seconds * (1 + ColdPenalty * (1 - candidate.Warmth));
    }

    private static double Uncached(in Candidate candidate, double promptTokens) =>
        Math.Max(1, promptTokens - candidate.CachedTokens - candidate.SlowCachedTokens);
}
