using System.Text.Json;
using Kvasir.Planning.Workloads;

namespace Kvasir.Cli.Rendering;

/// <summary>A workload's outcome within the plan's JSON; its fields are documented in docs/plan-json.md and stay.</summary>
internal static class WorkloadJson
{
    public static void Write(Utf8JsonWriter json, string title, WorkloadOutcome o)
    {
        json.WriteStartObject("workload");
        json.WriteString("title", title);
        json.WriteNumber("requests", o.Requests);
        json.WriteNumber("finished", o.Finished);
        json.WriteNumber("refused", o.Refused);
        json.WriteNumber("unfinished", o.Unfinished);
        json.WriteNumber("seconds", Rounded(o.Seconds));
        if (o.FullAtSeconds is { } full) json.WriteNumber("full_at_seconds", Rounded(full));
        else json.WriteNull("full_at_seconds");
        json.WriteNumber("waited_for_memory_seconds", Rounded(o.WaitedForMemorySeconds));
        json.WriteNumber("waited_for_slot_seconds", Rounded(o.WaitedForSlotSeconds));
        json.WriteNumber("preemptions", o.Preemptions);
        json.WriteNumber("peak_running", o.PeakRunning);
        json.WriteNumber("peak_queued", o.PeakQueued);
        json.WriteNumber("peak_used_bytes", o.PeakUsedBytes);
        json.WriteNumber("pool_bytes", o.PoolBytes);
        json.WriteNumber("prompt_tokens", o.PromptTokens);
        json.WriteNumber("reused_tokens", o.ReusedTokens);
        json.WriteNumber("lost_tokens", o.LostTokens);
        json.WriteNumber("lost_seconds", Rounded(o.LostSeconds));
        json.WriteNumber("keep_all_bytes", o.KeepAllBytes);
        json.WriteNumber("median_first_token_seconds", Rounded(o.MedianFirstTokenSeconds));
        json.WriteNumber("slow_first_token_seconds", Rounded(o.SlowFirstTokenSeconds));
        json.WriteStartArray("samples");
        foreach (var sample in o.Samples)
        {
            json.WriteStartObject();
            json.WriteNumber("seconds", Rounded(sample.Seconds));
            json.WriteNumber("used_bytes", sample.UsedBytes);
            json.WriteNumber("kept_bytes", sample.KeptBytes);
            json.WriteNumber("running", sample.Running);
            json.WriteNumber("queued", sample.Queued);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static double Rounded(double seconds) => Math.Round(seconds, 3);
}
