namespace Kvasir.Gateway.Policies;

/// <summary>
/// The default: the worker where a prompt costs the fleet the fewest seconds. That is the time until its first token (what
/// is queued there and what the prompt adds, at the rate measured there; plus what slower tiers take to give blocks back),
/// and the seconds that the prompt's own computation costs others. It delays whoever comes while requests wait: those
/// who follow to this worker, and those who go anywhere, as many as wait at a worker on average. And
/// what it computes pushes as much out of this worker's cache: each token there saves as many later as the fleet's caches
/// save per token computed, the more so where more than a fair share of the recent work has been pressing in already.
/// So conversations stay, new ones spread, and a beginning that many prompts share is copied to further workers before
/// its holder becomes the busiest. Where nothing is shared and nothing waits, only the time to first token counts.
/// </summary>
public sealed class SecondsPolicy : IRoutingPolicy
{
    /// <summary>Cached tokens per computed one beyond which a cache's worth is not believed: little was computed lately, and shares of it are chance.</summary>
    private const double MostSaved = 8;
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
        var fleet = Fleet.Of(snapshot.Candidates);
        for (var i = 0; i < snapshot.Candidates.Length; i++)
        {
            var candidate = snapshot.Candidates[i];
            var own = Uncached(candidate, snapshot.PromptTokens) / candidate.PrefillRate;
            var seconds = Seconds(candidate, snapshot.PromptTokens);
            var others = fleet.Waiting + fleet.Followers(candidate) + fleet.Saved * fleet.Share(candidate);
            // Within the goal, sooner is no better: what it costs the fleet decides. Beyond it, every second counts much.
            var felt = snapshot.GoalSeconds <= 0 ? seconds : seconds <= snapshot.GoalSeconds ? WithinGoal * seconds : seconds + BeyondGoal * (seconds - snapshot.GoalSeconds);
            lowest.Offer(i, felt + own * (others + (snapshot.GoalSeconds > 0 ? 1 : 0)) + DecodeTokens / candidate.PrefillRate * candidate.Decoding);
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

    /// <param name="Waiting">Requests without a first token, at a worker on average.</param>
    /// <param name="Saved">Prompt tokens that caches saved for each that was computed lately.</param>
    /// <param name="FairSeconds">Recent work of a worker on average.</param>
    /// <param name="QueueSeconds">Pending work of a worker on average.</param>
    private readonly record struct Fleet(double Waiting, double Saved, double FairSeconds, double QueueSeconds)
    {
        public static Fleet Of(ReadOnlySpan<Candidate> candidates)
        {
            var (waiting, computed, cached, recent, queued) = (0.0, 0.0, 0.0, 0.0, 0.0);
            foreach (ref readonly var candidate in candidates)
            {
                waiting += candidate.InFlight - candidate.Decoding;
                computed += candidate.RecentTokens;
                cached += candidate.RecentCachedTokens;
                recent += candidate.RecentTokens / candidate.PrefillRate;
                queued += candidate.PendingTokens / candidate.PrefillRate;
            }
            return new Fleet(waiting / candidates.Length, computed <= 0 ? 0 : Math.Min(MostSaved, cached / computed), recent / candidates.Length, queued / candidates.Length);
        }

        /// <summary>
        /// Requests that will come to the worker while its queue lasts: the mean of those that wait there now and of those
        /// that a queue of so many seconds holds in the fleet. By its own count alone, a worker that once got many short
        /// prompts would shed the long ones for good, on others where those wait without end.
        /// </summary>
        public double Followers(in Candidate candidate)
        {
            var usual = QueueSeconds <= 0 ? 0 : Waiting * (candidate.PendingTokens / candidate.PrefillRate / QueueSeconds);
            return (candidate.InFlight - candidate.Decoding + usual) / 2;
        }

        /// <summary>Of the recent work, what the worker had: 1 is its fair share.</summary>
        public double Share(in Candidate candidate) => FairSeconds <= 0 ? 0 : candidate.RecentTokens / candidate.PrefillRate / FairSeconds;
    }
}
