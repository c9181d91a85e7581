using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Kvasir.Cli.Load;

namespace Kvasir.Cli.Rendering;

/// <summary>Results of loads for programs. Times are seconds.</summary>
internal static class LoadJson
{
    private static readonly JsonSerializerOptions Options = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes an object with all results.</summary>
    public static void Write(TextWriter output, IReadOnlyList<ServerUnderTest> servers, LoadShape shape, IReadOnlyList<LoadResult> results)
    {
        var root = new JsonObject
        {
            ["seed"] = shape.Seed,
            ["servers"] = new JsonArray([.. servers.Select(Server)]),
            ["results"] = new JsonArray([.. results.Select(Result)]),
        };
        output.Write(root.ToJsonString(Options));
        output.Write('\n');
    }

    private static JsonNode Server(ServerUnderTest server) => new JsonObject
    {
        ["label"] = server.Address.Label, ["url"] = server.Address.Address.ToString(), ["model"] = server.Model, ["owner"] = server.Owner,
        ["tokenizes"] = server.CanTokenize, ["ignores_eos"] = server.IgnoresEos,
    };

    private static JsonNode Result(LoadResult result) => new JsonObject
    {
        ["server"] = result.Server, ["load"] = result.Load, ["description"] = result.Description,
        ["requests"] = result.Outcomes.Count, ["errors"] = new JsonArray([.. result.Errors.Select(pair => (JsonNode)new JsonObject { ["message"] = pair.Error, ["count"] = pair.Count })]),
        ["wall_seconds"] = result.WallSeconds,
        ["ttft_seconds"] = Spread(result.FirstToken), ["tpot_seconds"] = Spread(result.PerToken), ["itl_seconds"] = Spread(result.InterToken), ["e2e_seconds"] = Spread(result.EndToEnd),
        ["prompt_tokens"] = result.PromptTokens, ["output_tokens"] = result.OutputTokens, ["cached_tokens"] = result.CachedTokens, ["ideal_cached_tokens"] = result.IdealCachedTokens,
        ["prompt_tokens_per_second"] = result.PromptRate, ["output_tokens_per_second"] = result.OutputRate, ["total_tokens_per_second"] = result.PromptRate + result.OutputRate,
        ["cached_share"] = result.CachedShare, ["share_of_ideal"] = result.ShareOfIdeal, ["peak_resident_bytes"] = result.PeakResidentBytes,
        ["memory"] = new JsonArray([.. result.Memory.Select(Sample)]),
        ["each"] = new JsonArray([.. result.Outcomes.Select(Request)]),
    };

    private static JsonObject? Spread(Spread? spread) => spread is { } known
        ? new JsonObject { ["mean"] = known.Mean, ["p50"] = known.P50, ["p90"] = known.P90, ["p99"] = known.P99, ["max"] = known.Max, ["count"] = known.Count }
        : null;

    private static JsonNode Sample(MemorySample sample) =>
        new JsonObject { ["seconds"] = sample.Seconds, ["resident_bytes"] = sample.ResidentBytes, ["kv_share"] = sample.KvShare };

    private static JsonNode Request(RequestOutcome outcome) => new JsonObject
    {
        ["sent"] = outcome.SentSeconds, ["first"] = outcome.FirstSeconds, ["end"] = outcome.EndSeconds, ["status"] = outcome.Status, ["error"] = outcome.Error,
        ["prompt_tokens"] = outcome.PromptTokens, ["output_tokens"] = outcome.OutputTokens, ["cached_tokens"] = outcome.CachedTokens,
    };
}
