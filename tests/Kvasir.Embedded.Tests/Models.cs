using Kvasir.Embedded.Tests;
using Kvasir.Engine;
using Kvasir.Synthesis;

[assembly: AssemblyFixture(typeof(Models))]

namespace Kvasir.Embedded.Tests;

/// <summary>A model that says what its script tells, loaded once.</summary>
public sealed class Models : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvasir-test-");

    private static readonly Dictionary<char, Script> Scripts = new()
    {
        ['a'] = Script.Of("Hello", " there", "!"),
        ['l'] = Script.Endless("one ", "two ", "three "),
        ['u'] = Script.Bytes(Unicode, 3),
        ['t'] = Script.Of("<tool_call>{\"name\": \"get_weather\", ", "\"arguments\": {\"city\": \"Kraków\"}}", "</tool_call>"),
        ['x'] = Script.Of("<tool_call>{\"name\": \"odd\", \"arguments\": [1]}</tool_call>"),
        ['p'] = Script.Of("I see.", "\nUser:", " and you?"),
    };

    /// <summary>A text whose characters tokens of three bytes cut.</summary>
    public const string Unicode = "żółw 😀日本語 ok €";

    public KvasirEngine Engine { get; private set; } = null!;

    public string File(string name) => System.IO.Path.Combine(_folder.FullName, name);

    public static EngineOptions Options { get; } = new() { Threads = 1, MemoryBytes = 1L << 30, ContextTokens = 1024, KvTokens = 8192, MaxSequences = 4, ChunkTokens = 128 };

    public async ValueTask InitializeAsync()
    {
        ScriptedCheckpoint.Write(System.IO.Path.Combine(_folder.FullName, "scripted.gguf"), Scripts);
        Engine = await LoadAsync();
    }

    public Task<KvasirEngine> LoadAsync(Func<KvasirOptions, KvasirOptions>? change = null)
    {
        var options = new KvasirOptions { Engine = Options };
        return KvasirEngine.LoadAsync(File("scripted.gguf"), change?.Invoke(options) ?? options);
    }

    public async ValueTask DisposeAsync()
    {
        await Engine.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}
