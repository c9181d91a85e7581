using Kvasir.Engine;
using Kvasir.Server.Tests.Fixtures;
using Kvasir.Synthesis;

[assembly: AssemblyFixture(typeof(Models))]

namespace Kvasir.Server.Tests.Fixtures;

/// <summary>Two tiny models: one that says what its script tells, one with random weights that really computes.</summary>
public sealed class Models : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvasir-test-");

    /// <summary>What the scripted model says after which last character of the prompt.</summary>
    private static readonly Dictionary<char, Script> Scripts = new()
    {
        ['a'] = Script.Of("Hello", " there", "!"),
        ['l'] = Script.Endless("one ", "two ", "three "),
        ['u'] = Script.Bytes(Unicode, 3),
        ['v'] = Script.Bytes(Emoji, 2),
        ['t'] = Script.Of("Let me see. ", "<tool", "_call>\n{\"name\": \"get_weather\", ", "\"arguments\": {\"city\": \"Kraków\"}}", "\n</tool_call>"),
        ['j'] = Script.Of("{\"name\": \"get_time\",", " \"parameters\": {}}"),
        ['s'] = Script.Of("alpha ", "be", "ta gam", "ma delta"),
        // After the first byte of "ż", its second.
        ['\u00c5'] = new([new byte[] { 0xbc, 0x21 }]),
        ['b'] = new([new byte[] { 0x6f, 0x6b, 0xe2, 0x82 }]),
    };

    /// <summary>A text whose characters tokens of three bytes cut.</summary>
    public const string Unicode = "żółw ściął 😀日本語 ok 👍🏽 €";

    /// <summary>A text whose characters tokens of two bytes cut.</summary>
    public const string Emoji = "👨‍👩‍👧‍👦🧿";

    public KvasirEngine Scripted { get; private set; } = null!;

    public KvasirEngine Random { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        SyntheticCheckpoint.Write(RandomPath, SyntheticModel.Tiny(SyntheticFamily.Llama) with { Hidden = 128, Heads = 4, KeyValueHeads = 2, FeedForward = 256 });
        ScriptedCheckpoint.Write(ScriptedPath, Scripts, context: 65536);
        Scripted = await LoadScriptedAsync();
        Random = await LoadRandomAsync();
    }

    public string RandomPath => Path.Combine(_folder.FullName, "random.gguf");

    private string ScriptedPath => Path.Combine(_folder.FullName, "scripted.gguf");

    /// <summary>A scripted engine of one's own, for tests that look at its state.</summary>
    public Task<KvasirEngine> LoadScriptedAsync(Func<EngineOptions, EngineOptions>? change = null)
    {
        var options = new EngineOptions { Threads = 1, MemoryBytes = 1L << 30, ContextTokens = 8192, KvTokens = 65536, MaxSequences = 8, ChunkTokens = 128 };
        return KvasirEngine.LoadAsync(ScriptedPath, new KvasirOptions { ModelName = "scripted", Engine = change?.Invoke(options) ?? options });
    }

    /// <summary>A random engine of one's own.</summary>
    public Task<KvasirEngine> LoadRandomAsync() => KvasirEngine.LoadAsync(RandomPath, new KvasirOptions
    {
        ModelName = "random",
        Engine = new EngineOptions { Threads = 1, MemoryBytes = 1L << 30, ContextTokens = 2048, KvTokens = 16384, MaxSequences = 8, ChunkTokens = 128 },
    });

    public async ValueTask DisposeAsync()
    {
        await Scripted.DisposeAsync();
        await Random.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}
