namespace Kvasir.Gateway.Policies;

/// <summary>
/// The default: the worker where a prompt costs the fleet the fewest seconds. That is the time until its first token (what
/// is queued there and what the prompt adds, at the rate measured there; plus what slower tiers take to give blocks back),
/// and the prompt's own seconds again for each way in which they cost others: whoever waits is delayed by them, and what
/// they compute takes room in that worker's cache and calls the conversation's later prompts there, which is dearer the
/// more of the fleet's recent work the worker has had already. So conversations stay, and new ones spread: a beginning
/// that many prompts share is copied to further workers before its holder becomes the busiest.
/// </summary>
public sealed class SecondsPolicy : IRoutingPolicy
{
    /// <summary>A prompt's own seconds weigh more by the requests that wait, on average, at a worker, to this power: whoever waits is delayed, and so is who comes to wait.</summary>
    private const double DelayPower = 1.2;
    /// <summary>Weight of a prompt's own seconds at a worker that has had its fair share of the fleet's recent work; it grows with the square of that share.</summary>
    private const double ShareWeight = 2;
    /// <summary>Prompt tokens that a running decode counts as: steps it shares with the prompt, memory it holds until it ends. In tokens, so that a wrong rate does not weigh it wrongly.</summary>
    private const double DecodeTokens = 100;

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
        var (waiting, busy) = (0.0, 0.0);
        foreach (var candidate in snapshot.Candidates)
        {
            waiting += candidate.InFlight - candidate.Decoding;
            busy += candidate.RecentTokens / candidate.PrefillRate;
        }
        var (delay, fair) = (Math.Pow(waiting / snapshot.Candidates.Length, DelayPower), busy / snapshot.Candidates.Length);
        for (var i = 0; i < snapshot.Candidates.Length; i++)
        {
            var candidate = snapshot.Candidates[i];
            var own = Uncached(candidate, snapshot.PromptTokens) / candidate.PrefillRate;
            var seconds = Seconds(candidate, snapshot.PromptTokens);
            var share = fair <= 0 ? 0 : candidate.RecentTokens / candidate.PrefillRate / fair;
            // Within the goal, sooner is no better: what it costs the fleet decides. Beyond it, every second counts much.
            var felt = snapshot.GoalSeconds <= 0 ? seconds : seconds <= snapshot.GoalSeconds ? WithinGoal * seconds : seconds + BeyondGoal * (seconds - snapshot.GoalSeconds);
            lowest.Offer(i, felt + own * (delay + ShareWeight * share * share + (snapshot.GoalSeconds > 0 ? 1 : 0)) + DecodeTokens / candidate.PrefillRate * candidate.Decoding);
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
