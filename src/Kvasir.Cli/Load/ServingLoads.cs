using Kvasir.Planning.Workloads;

namespace Kvasir.Cli.Load;

/// <summary>The loads that <c>kvasir bench serve</c> knows.</summary>
internal static class ServingLoads
{
    public const string SharedCold = "shared-cold";
    public const string SharedWarm = "shared-warm";
    public const string Conversations = "conversations";
    public const string Random = "random";
    public const string Trace = "trace";

    /// <summary>All of them, in the order in which they run.</summary>
    public static readonly string[] Names = [SharedCold, SharedWarm, Conversations, Random, Trace];

    // Streams of text: no two loads share a word by plan, but the two that share a prefix.
    private const int PrefixText = 1, ColdText = 2, WarmText = 3, ConversationText = 4, RandomText = 5, TraceText = 6, Arrivals = 7;
    private const int TraceBlockStride = 100_000;

    /// <summary>Writes a load's requests.</summary>
    public static Task<ServingLoad> BuildAsync(string name, LoadShape shape, PromptWriter writer, CancellationToken cancel) => name switch
    {
        SharedCold => SharedAsync(name, ColdText, shape, writer, cancel),
        SharedWarm => SharedAsync(name, WarmText, shape, writer, cancel),
        Conversations => ConversationsAsync(shape, writer, cancel),
        Random => IndependentAsync(shape, writer, cancel),
        _ => TraceAsync(shape, writer, cancel),
    };

    private static async Task<ServingLoad> SharedAsync(string name, int stream, LoadShape shape, PromptWriter writer, CancellationToken cancel)
    {
        var (requests, shared, own, output) = (shape.Requests ?? 8, shape.SharedTokens ?? 1550, shape.PromptTokens ?? 75, shape.OutputTokens ?? 32);
        var prefix = await writer.WriteAsync(shared, PrefixText, 0, cancel);
        var sessions = new List<LoadSession>();
        foreach (var arrival in ArrivalTimes(shape, requests))
            sessions.Add(new(arrival, prefix, [new(await writer.WriteAsync(own, stream, sessions.Count, cancel), output)]));
        return new(name, $"{requests} requests, {shared} shared and {own} own prompt tokens, {output} out", sessions, shape.Concurrency ?? Everything(shape, 8), false);
    }

    private static async Task<ServingLoad> ConversationsAsync(LoadShape shape, PromptWriter writer, CancellationToken cancel)
    {
        var (count, turns, own, output) = (shape.Conversations ?? 16, shape.Turns ?? 4, shape.PromptTokens ?? 230, shape.OutputTokens ?? 32);
        var shared = shape.SharedTokens ?? 0;
        var prefix = await writer.WriteAsync(shared, PrefixText, 1, cancel);
        var sessions = new List<LoadSession>();
        foreach (var arrival in ArrivalTimes(shape, count))
        {
            var said = new LoadTurn[turns];
            for (var turn = 0; turn < turns; turn++)
                said[turn] = new(await writer.WriteAsync(own, ConversationText, sessions.Count * turns + turn, cancel), output);
            sessions.Add(new(arrival, prefix, said));
        }
        return new(Conversations, $"{count} conversations of {turns} turns, {own} new prompt tokens a turn, {output} out", sessions, shape.Concurrency ?? Everything(shape, 8), shape.Interleave);
    }

    private static async Task<ServingLoad> IndependentAsync(LoadShape shape, PromptWriter writer, CancellationToken cancel)
    {
        var (requests, own, output) = (shape.Requests ?? 16, shape.PromptTokens ?? 256, shape.OutputTokens ?? 32);
        var sessions = new List<LoadSession>();
        foreach (var arrival in ArrivalTimes(shape, requests))
            sessions.Add(new(arrival, "", [new(await writer.WriteAsync(own, RandomText, sessions.Count, cancel), output)]));
        return new(Random, $"{requests} requests that share nothing, {own} prompt tokens, {output} out", sessions, shape.Concurrency ?? Everything(shape, 8), false);
    }

    /// <summary>Replays arrivals, lengths and shared blocks; the text of a block comes from its name.</summary>
    private static async Task<ServingLoad> TraceAsync(LoadShape shape, PromptWriter writer, CancellationToken cancel)
    {
        var path = shape.Trace ?? throw new UsageException("The load 'trace' needs --trace FILE (JSON lines as Mooncake's, or CSV as Azure's).");
        var requests = WorkloadTrace.Read(path).Take(shape.Requests ?? 32).ToList();
        var blockTokens = Math.Max(1, (int)(WorkloadRequest.BlockTokens * shape.TraceTokens));
        var blocks = new Dictionary<long, string>();
        var sessions = new List<LoadSession>();
        foreach (var request in requests)
        {
            var tokens = Math.Max(1, (int)(request.PromptTokens * shape.TraceTokens));
            var parts = new List<string>();
            // The prompt's last block is partial, and its name covers the answer's beginning: its text is the request's own.
            foreach (var block in request.Blocks.Take(tokens / blockTokens))
                parts.Add(blocks.TryGetValue(block, out var text) ? text : blocks[block] = await writer.WriteAsync(blockTokens, TraceText, unchecked((int)block), cancel));
            parts.Add(await writer.WriteAsync(Math.Max(1, tokens - parts.Count * blockTokens), TraceText, -TraceBlockStride - sessions.Count, cancel));
            var output = Math.Max(1, (int)(request.AnswerTokens * shape.TraceTokens));
            sessions.Add(new(request.ArrivalSeconds / shape.TraceSpeed, "", [new(string.Join("\n", parts), output)]));
        }
        return new(Trace, $"{sessions.Count} requests of {Path.GetFileName(path)}, tokens × {shape.TraceTokens:0.###}, {shape.TraceSpeed:0.###} times its speed", sessions, shape.Concurrency ?? 0, false);
    }

    /// <summary>Requests that arrive by themselves do not wait for each other.</summary>
    private static int Everything(LoadShape shape, int otherwise) => shape.Rate is null ? otherwise : 0;

    private static IEnumerable<double?> ArrivalTimes(LoadShape shape, int count)
    {
        var random = new Random(unchecked(shape.Seed * 31 + Arrivals));
        double now = 0;
        for (var index = 0; index < count; index++)
        {
            yield return shape.Rate is null ? null : now;
            if (shape.Rate is { } rate) now += -Math.Log(1 - random.NextDouble()) / rate;
        }
    }
}
