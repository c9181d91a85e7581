using Kvasir.Kernels;
using Kvasir.Synthesis;

namespace Kvasir.Engine.Tests.Serving;

/// <summary>A request in an engine that is stepped by hand, and what came of it so far.</summary>
internal sealed class Reply(GenerationRequest request, GenerationStream stream)
{
    public GenerationRequest Request { get; } = request;
    public GenerationStream Stream { get; } = stream;
    public List<GeneratedToken> Tokens { get; } = [];
    public bool IsDone => Stream.Completion.IsCompleted;
    public int[] Text => [.. Tokens.Select(token => token.Token)];

    public void Read()
    {
        while (Stream.TryRead(out var token)) Tokens.Add(token);
    }

    public void Leave() => Stream.DisposeAsync().AsTask().GetAwaiter().GetResult();
}

/// <summary>An engine that moves when told to, on the test's own thread: what happens in which step is certain.</summary>
internal sealed class SteppedEngine : IAsyncDisposable
{
    private readonly List<Reply> _replies = [];

    public SteppedEngine(EngineOptions options, SyntheticFamily family = SyntheticFamily.Llama, TimeProvider? time = null) =>
        Engine = LlmEngine.CreateStill(TinyModels.Of(family), options, time: time);

    /// <summary>Eight sequences of up to 256 tokens in room for all of them, one thread.</summary>
    public static EngineOptions Roomy { get; } = new()
    {
        MemoryBytes = 1L << 30, ContextTokens = 256, KvTokens = 2048, MaxSequences = 8, ChunkTokens = 64, MixedChunkTokens = 16, Threads = 1, KvFormat = KvFormat.F16,
    };

    public LlmEngine Engine { get; }

    public EngineSnapshot State => Engine.Snapshot();

    public static GenerationRequest Ask(int prompt, int tokens, ulong seed = 1, int first = 0) => new()
    {
        Prompt = [.. Enumerable.Range(first, prompt).Select(i => i * 7 % 300)], MaxTokens = tokens, Sampling = new() { Seed = seed },
    };

    public Reply Submit(GenerationRequest request)
    {
        var reply = new Reply(request, Engine.Submit(request));
        _replies.Add(reply);
        return reply;
    }

    public void Step(int steps = 1)
    {
        for (; steps > 0; steps--)
        {
            Engine.Step();
            foreach (var reply in _replies) reply.Read();
        }
    }

    /// <summary>Steps until all that was submitted is done.</summary>
    public void Finish(int mostSteps = 5000)
    {
        while (!_replies.TrueForAll(reply => reply.IsDone))
        {
            Assert.True(mostSteps-- > 0, $"{_replies.Count(reply => !reply.IsDone)} requests are never done.");
            Step();
        }
    }

    /// <summary>What the requests would have got had each been alone, in an engine with room and without sharing.</summary>
    public static async Task<int[][]> Alone(EngineOptions options, params GenerationRequest[] requests)
    {
        await using var engine = new SteppedEngine(options with { PrefixCache = false, KvTokens = Math.Max(options.KvTokens ?? 0, options.ContextTokens ?? 0), MaxSequences = 1 });
        var texts = new List<int[]>();
        foreach (var request in requests)
        {
            var reply = engine.Submit(request);
            engine.Finish();
            texts.Add(reply.Text);
        }
        return [.. texts];
    }

    public ValueTask DisposeAsync() => Engine.DisposeAsync();
}
