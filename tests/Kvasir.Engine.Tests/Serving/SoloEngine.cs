using System.Collections.Concurrent;
using Kvasir.Kernels;
using Kvasir.Synthesis;

namespace Kvasir.Engine.Tests.Serving;

/// <summary>What a request gets when it has an engine to itself: bits of everything that it is told.</summary>
/// <param name="Tokens">Token and log-probability, in order.</param>
/// <param name="Reason">How it ended.</param>
/// <param name="PromptScores">Log-probabilities of the prompt.</param>
internal sealed record SoloText((int Token, float LogProbability)[] Tokens, FinishReason Reason, float[] PromptScores);

/// <summary>Runs requests one after the other, each as if the engine were new: the truth that schedules are held against.</summary>
internal static class SoloEngine
{
    private static readonly ConcurrentDictionary<(SyntheticFamily, KvFormats, int Context), SteppedEngine> Engines = new();
    private static readonly ConcurrentDictionary<(SyntheticFamily, KvFormats, int Context, PlannedRequest), SoloText> Texts = new();

    public static SoloText Run(SyntheticFamily family, KvFormats format, int context, PlannedRequest planned)
    {
        // Neither when it comes nor when it leaves changes what it would get.
        planned = planned with { Arrival = 0, Leaves = 0 };
        var key = (family, format, context, planned);
        if (Texts.TryGetValue(key, out var known)) return known;
        var engine = Engines.GetOrAdd((family, format, context), static key => new SteppedEngine(new EngineOptions
        {
            MemoryBytes = 1L << 30, ContextTokens = key.Context, KvTokens = key.Context, MaxSequences = 1, ChunkTokens = 128, MixedChunkTokens = 128,
            PrefixCache = false, KvFormat = key.Item2, Threads = 1,
        }, key.Item1));
        lock (engine)
        {
            var reply = engine.Submit(planned.Request);
            engine.Finish();
            return Texts[key] = new SoloText([.. reply.Tokens.Select(token => (token.Token, token.LogProbability))], reply.Stream.FinishReason, reply.Stream.PromptLogProbabilities.ToArray());
        }
    }
}
