namespace Kvasir.Simulation;

/// <summary>What a policy did with a trace.</summary>
/// <param name="Policy">Its name.</param>
/// <param name="Requests">Requests that were answered.</param>
/// <param name="TtftMeanSeconds">Mean time to first token.</param>
/// <param name="TtftP50Seconds">Median.</param>
/// <param name="TtftP99Seconds">99th percentile.</param>
/// <param name="TpotMeanSeconds">Mean time per output token after the first.</param>
/// <param name="HitRate">Share of prompt tokens that were not computed.</param>
/// <param name="OutputTokensPerSecond">Generated tokens over the time from the first arrival to the last token.</param>
/// <param name="InputTokensPerSecond">Prompt tokens over the same time.</param>
/// <param name="BusiestShare">Share of requests that the busiest worker got.</param>
public sealed record PolicyFigures(string Policy, int Requests, double TtftMeanSeconds, double TtftP50Seconds, double TtftP99Seconds, double TpotMeanSeconds,
    double HitRate, double OutputTokensPerSecond, double InputTokensPerSecond, double BusiestShare);
