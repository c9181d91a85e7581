using Kvasir.Engine;
using Kvasir.Server.Turns;

namespace Kvasir.Server.Monitoring;

/// <summary>Takes one request's times and counts as its parts come.</summary>
public sealed class RequestClock
{
    private readonly ServerMetrics metrics;
    private readonly ServedModel model;
    private readonly TimeProvider time;
    private readonly long started;
    private readonly long[] last;
    private readonly long[] first;
    private readonly int[] counts;
    private bool isDone;

    /// <summary>Starts the clock.</summary>
    /// <param name="metrics">Where the figures go.</param>
    /// <param name="model">Whose they are.</param>
    /// <param name="time">Clock.</param>
    /// <param name="choices">Answers of the request.</param>
    /// <param name="started">Time stamp of the request's arrival.</param>
    public RequestClock(ServerMetrics metrics, ServedModel model, TimeProvider time, int choices, long started)
    {
        (this.metrics, this.model, this.time, this.started) = (metrics, model, time, started);
        (last, first, counts) = (new long[choices], new long[choices], new int[choices]);
    }

    /// <summary>Takes a part.</summary>
    public void Observe(TextPart part)
    {
        var choice = part.Choice;
        if (part.Tokens.Length > 0)
        {
            var now = time.GetTimestamp();
            if (counts[choice] == 0)
            {
                first[choice] = now;
                metrics.FirstToken.Record(time.GetElapsedTime(started, now).TotalSeconds, model.Labels);
            }
            else
            {
                metrics.InterToken.Record(time.GetElapsedTime(last[choice], now).TotalSeconds, model.Labels);
            }
            last[choice] = now;
            counts[choice] += part.Tokens.Length;
        }
        if (part.FinishReason is { } reason) metrics.CountSuccess(model, FinishReasons.Name(part, reason));
    }

    /// <summary>Takes the end, of whatever kind; what is left of it comes once.</summary>
    public void Complete(TextGeneration generation)
    {
        if (isDone) return;
        isDone = true;
        metrics.CountTokens(model, generation.PromptTokens, generation.CachedTokens, generation.GeneratedTokens);
        metrics.QueueTime.Record(generation.QueueSeconds, model.Labels);
        metrics.PrefillTime.Record(generation.Usage.PrefillSeconds, model.Labels);
        metrics.DecodeTime.Record(generation.Usage.DecodeSeconds, model.Labels);
        metrics.EndToEnd.Record(time.GetElapsedTime(started).TotalSeconds, model.Labels);
        for (var choice = 0; choice < counts.Length; choice++)
            if (counts[choice] > 1)
                metrics.PerOutputToken.Record(time.GetElapsedTime(first[choice], last[choice]).TotalSeconds / (counts[choice] - 1), model.Labels);
    }
}

/// <summary>OpenAI's words for why an answer ended.</summary>
internal static class FinishReasons
{
    public static string Name(TextPart part, FinishReason reason) =>
        part.ToolCalls.Length > 0 ? "tool_calls" : reason == FinishReason.Length ? "length" : reason == FinishReason.Stop ? "stop" : "abort";
}
