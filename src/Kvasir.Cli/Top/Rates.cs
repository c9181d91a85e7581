using Kvasir.Protocol.Memory;

namespace Kvasir.Cli.Top;

/// <summary>What happened between two looks.</summary>
/// <param name="PromptTokens">Prompt tokens computed per second.</param>
/// <param name="GeneratedTokens">Tokens generated per second.</param>
/// <param name="HitRate">Share of the prompts' tokens that were cached; null when no prompt came.</param>
/// <param name="Busy">Share of the time that steps took.</param>
/// <param name="Preemptions">Requests that gave way.</param>
/// <param name="Evictions">Kept blocks that gave way.</param>
internal sealed record Rates(double PromptTokens, double GeneratedTokens, double? HitRate, double Busy, long Preemptions, long Evictions)
{
    /// <summary>The differences; null when the server was started anew between the looks, or no time has passed.</summary>
    public static Rates? Between(EngineTotals before, EngineTotals now)
    {
        var seconds = now.UptimeSeconds - before.UptimeSeconds;
        if (seconds <= 0 || now.Steps < before.Steps) return null;
        var asked = now.PrefixQueryTokens - before.PrefixQueryTokens;
        return new Rates((now.PromptTokens - before.PromptTokens) / seconds, (now.GeneratedTokens - before.GeneratedTokens) / seconds,
            asked > 0 ? (double)(now.PrefixHitTokens - before.PrefixHitTokens) / asked : null, Math.Clamp((now.StepSeconds - before.StepSeconds) / seconds, 0, 1),
            now.Preemptions - before.Preemptions, now.Evictions - before.Evictions);
    }
}
