using Kvasir.Engine;
using Kvasir.Synthesis;

namespace Kvasir.Server.Tests.Fixtures;

/// <summary>Three models of one server, in files of their own: one that says what its script tells, two with random weights.</summary>
internal sealed class ThreeModels : IAsyncDisposable
{
    public const string Scripted = "scripted", Llama = "llama", Qwen = "qwen";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvasir-test-");

    private ThreeModels() { }

    public ModelSet Set { get; private set; } = null!;

    public TestServer Server { get; private set; } = null!;

    /// <summary>More sequences than there is memory for: the KV cache of each fills its share, so that two awake would not fit.</summary>
    public static EngineOptions Options { get; } = new() { Threads = 1, MemoryBytes = MemoryBudget.RuntimeBytes + (64 << 20), MaxSequences = 64, ChunkTokens = 128 };

    public static async Task<ThreeModels> StartAsync(
        int awake = 1, ServerOptions? options = null, Func<EngineOptions, EngineOptions>? change = null, TimeProvider? time = null)
    {
        var models = new ThreeModels();
        ScriptedCheckpoint.Write(models.PathOf(Scripted), new Dictionary<char, Script> { ['a'] = Script.Of("Hello", " there", "!"), ['l'] = Script.Endless("one ", "two ") }, context: 65536);
        SyntheticCheckpoint.Write(models.PathOf(Llama), SyntheticModel.Tiny(SyntheticFamily.Llama) with { Hidden = 128, Heads = 4, KeyValueHeads = 2, FeedForward = 256 });
        SyntheticCheckpoint.Write(models.PathOf(Qwen), SyntheticModel.Tiny(SyntheticFamily.Qwen2) with { Hidden = 64, Heads = 2, KeyValueHeads = 1, FeedForward = 128 });
        models.Set = await ModelSet.LoadAsync([models.PathOf(Scripted), models.PathOf(Llama), models.PathOf(Qwen)], [], awake, new KvasirOptions { Engine = change?.Invoke(Options) ?? Options });
        models.Server = await TestServer.StartSetAsync(models.Set, options, time);
        return models;
    }

    public string PathOf(string name) => Path.Combine(_folder.FullName, $"{name}.gguf");

    public KvasirEngine Of(string name) => Set.Engines.Single(engine => engine.Name == name);

    /// <summary>Who is awake, in the order of the models.</summary>
    public string[] Awake => [.. Set.Engines.Where(engine => engine.Engine.Sleeps == SleepLevel.Awake).Select(engine => engine.Name)];

    /// <summary>A request of one model, without chance.</summary>
    public static string Ask(string model, string text, int tokens = 8, bool stream = false) =>
        $$"""{"model":"{{model}}","messages":[{"role":"user","content":"{{text}}"}],"max_tokens":{{tokens}},"temperature":0,"stream":{{(stream ? "true" : "false")}}}""";

    /// <summary>Posts and gives the answer's text.</summary>
    public async Task<string> TextAsync(string model, string text, int tokens = 8) =>
        (string)(await Server.AskAsync("/v1/chat/completions", Ask(model, text, tokens)))["choices"]![0]!["message"]!["content"]!;

    /// <summary>A stream that goes on until it is disposed of, begun.</summary>
    public async Task<HttpResponseMessage> EndlessAsync()
    {
        var response = await Server.PostAsync("/v1/chat/completions", Ask(Scripted, "l", 60_000, stream: true));
        await response.Content.ReadAsStream().ReadExactlyAsync(new byte[300]);
        return response;
    }

    /// <summary>Waits until as many requests wait for the model to wake.</summary>
    public async Task UntilWaitingAsync(string model, int count)
    {
        var state = Server.Server.State;
        var served = state.Models.Single(other => other.Name == model);
        for (var tries = 0; tries < 500 && state.Turns!.Waiting(served) != count; tries++) await Task.Delay(10);
        Assert.Equal(count, state.Turns!.Waiting(served));
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        await Set.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}
