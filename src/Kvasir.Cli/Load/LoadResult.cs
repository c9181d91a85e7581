namespace Kvasir.Cli.Load;

/// <summary>Where a set of times lies.</summary>
/// <param name="Count">How many.</param>
/// <param name="Mean">Their mean, in seconds.</param>
/// <param name="P50">Half are at most this.</param>
/// <param name="P90">Nine in ten are at most this.</param>
/// <param name="P99">99 in a hundred are at most this.</param>
/// <param name="Max">The longest.</param>
internal readonly record struct Spread(int Count, double Mean, double P50, double P90, double P99, double Max)
{
    /// <summary>Of times in any order; null of none. Between two ranks it is interpolated.</summary>
    public static Spread? Of(IEnumerable<double> seconds)
    {
        var sorted = seconds.Order().ToArray();
        return sorted.Length == 0 ? null : new(sorted.Length, sorted.Average(), At(sorted, 0.5), At(sorted, 0.9), At(sorted, 0.99), sorted[^1]);
    }

    private static double At(double[] sorted, double share)
    {
        var rank = share * (sorted.Length - 1);
        var below = (int)rank;
        return below + 1 < sorted.Length ? sorted[below] + (rank - below) * (sorted[below + 1] - sorted[below]) : sorted[below];
    }
}

/// <summary>What a load did to a server.</summary>
/// <param name="Server">The server's label.</param>
/// <param name="Load">The load's name.</param>
/// <param name="Description">The load's sizes, in words.</param>
/// <param name="Outcomes">Each request.</param>
/// <param name="IdealCachedTokens">Prompt tokens that an infinite cache would have found; null where it cannot be told.</param>
/// <param name="Memory">The server's memory over time.</param>
internal sealed record LoadResult(string Server, string Load, string Description, IReadOnlyList<RequestOutcome> Outcomes, long? IdealCachedTokens, IReadOnlyList<MemorySample> Memory)
{
    /// <summary>Requests that were answered.</summary>
    public IReadOnlyList<RequestOutcome> Answered { get; } = [.. Outcomes.Where(outcome => outcome.Error is null)];

    /// <summary>From the first request to the last answer, in seconds.</summary>
    public double WallSeconds { get; } = Outcomes.Count == 0 ? 0 : Outcomes.Max(outcome => outcome.EndSeconds) - Outcomes.Min(outcome => outcome.SentSeconds);

    /// <summary>Time to the first token.</summary>
    public Spread? FirstToken => Spread.Of(Answered.Select(outcome => outcome.FirstTokenSeconds).OfType<double>());

    /// <summary>Mean time per further token of each answer.</summary>
    public Spread? PerToken => Spread.Of(Answered.Select(outcome => outcome.PerTokenSeconds).OfType<double>());

    /// <summary>Times between two parts of an answer, over all answers.</summary>
    public Spread? InterToken => Spread.Of(Answered.SelectMany(outcome => outcome.Gaps));

    /// <summary>Whole requests.</summary>
    public Spread? EndToEnd => Spread.Of(Answered.Select(outcome => outcome.EndSeconds - outcome.SentSeconds));

    /// <summary>Prompt tokens of answered requests.</summary>
    public long PromptTokens => Answered.Sum(outcome => (long)outcome.PromptTokens);

    /// <summary>Tokens generated for answered requests.</summary>
    public long OutputTokens => Answered.Sum(outcome => (long)outcome.OutputTokens);

    /// <summary>Prompt tokens that the server did not compute again; null where it does not tell.</summary>
    public long? CachedTokens => Answered.Any(outcome => outcome.CachedTokens is not null) ? Answered.Sum(outcome => (long)(outcome.CachedTokens ?? 0)) : null;

    /// <summary>Share of the prompt tokens that were not computed again.</summary>
    public double? CachedShare => PromptTokens > 0 ? (double?)CachedTokens / PromptTokens : null;

    /// <summary>Found prompt tokens as a share of what an infinite cache would have found; null where that is nothing.</summary>
    public double? ShareOfIdeal => IdealCachedTokens > 0 ? (double?)CachedTokens / IdealCachedTokens : null;

    /// <summary>Prompt tokens per second of wall time.</summary>
    public double PromptRate => WallSeconds > 0 ? PromptTokens / WallSeconds : 0;

    /// <summary>Generated tokens per second of wall time.</summary>
    public double OutputRate => WallSeconds > 0 ? OutputTokens / WallSeconds : 0;

    /// <summary>Highest resident memory seen.</summary>
    public long? PeakResidentBytes => Memory.Max(sample => sample.ResidentBytes);

    /// <summary>What went wrong, and how often.</summary>
    public IEnumerable<(string Error, int Count)> Errors =>
        Outcomes.Where(outcome => outcome.Error is not null).GroupBy(outcome => outcome.Error!).Select(group => (group.Key, group.Count())).OrderByDescending(pair => pair.Item2);
}
