using Kvasir.Kernels;
using Kvasir.Synthesis;

namespace Kvasir.Engine.Tests.Serving;

/// <summary>The engine on its own thread, clients on others: whatever the order of events, the same must come out.</summary>
public sealed class ConcurrentClientsTests
{
    private const int Clients = 48, Context = 96;

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Clients_on_many_threads_get_what_they_would_have_got_alone(int threads)
    {
        var planned = PlannedRequest.Of(1, Clients);
        await using var engine = LlmEngine.Create(TinyModels.Of(SyntheticFamily.Llama), new EngineOptions
        {
            MemoryBytes = 1L << 30, ContextTokens = Context, KvTokens = 192, MaxSequences = 6, ChunkTokens = 32, MixedChunkTokens = 8, Threads = threads, KvFormat = KvFormat.F16,
        });
        await Task.WhenAll(planned.Select(request => Task.Run(() => Be(engine, request))));
        await engine.DrainAsync();
        var state = engine.Snapshot();
        Assert.Equal((0, 0, 0), (state.Running, state.Waiting, state.KvBlocksUsed));
        Assert.Throws<RequestException>(() => engine.Submit(planned[0].Request));
        engine.Blocks.CheckIntegrity();
    }

    private static async Task Be(LlmEngine engine, PlannedRequest planned)
    {
        var alone = SoloEngine.Run(SyntheticFamily.Llama, KvFormat.F16, Context, planned);
        await using var stream = engine.Submit(planned.Request);
        var got = new List<(int, float)>();
        await foreach (var token in stream)
        {
            got.Add((token.Token, token.LogProbability));
            if (!planned.Stays && got.Count >= planned.Leaves) return;
        }
        Assert.Equal(alone.Tokens, got);
        Assert.Equal(alone.Reason, stream.FinishReason);
        Assert.Equal(alone.PromptScores, stream.PromptLogProbabilities.ToArray());
    }
}
