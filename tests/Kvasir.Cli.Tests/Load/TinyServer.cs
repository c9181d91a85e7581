using Kvasir.Cli.Load;
using Kvasir.Engine;
using Kvasir.Server;
using Kvasir.Synthesis;

[assembly: AssemblyFixture(typeof(Kvasir.Cli.Tests.Load.TinyServer))]

namespace Kvasir.Cli.Tests.Load;

/// <summary>Kvasir's own server over a tiny model with random weights.</summary>
public sealed class TinyServer : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvasir-bench-");
    private KvasirEngine _engine = null!;
    private KvasirServer _server = null!;

    public Uri Address => _server.Address;

    public async ValueTask InitializeAsync()
    {
        var path = Path.Combine(_folder.FullName, "tiny.gguf");
        SyntheticCheckpoint.Write(path, SyntheticModel.Tiny(SyntheticFamily.Llama) with { Hidden = 64, Heads = 2, KeyValueHeads = 1, FeedForward = 128 });
        _engine = await KvasirEngine.LoadAsync(path, new KvasirOptions
        {
            ModelName = "tiny", Engine = new EngineOptions { Threads = 1, MemoryBytes = 1L << 30, ContextTokens = 2048, KvTokens = 16384, MaxSequences = 8 },
        });
        _server = await KvasirServer.StartAsync(new ServerOptions { Port = 0 });
        _server.Attach(_engine);
    }

    /// <summary>Connects as the command does.</summary>
    internal Task<ServingBench> ConnectAsync(LoadShape shape, bool chat = false) =>
        ServingBench.ConnectAsync([new ServerAddress("tiny", Address, Environment.ProcessId)], Form(chat), shape, TimeProvider.System, default);

    internal static RequestForm Form(bool chat = false) => new(null, null, chat, 0, true, TimeSpan.FromSeconds(30));

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _engine.DisposeAsync();
        _folder.Delete(true);
    }
}
