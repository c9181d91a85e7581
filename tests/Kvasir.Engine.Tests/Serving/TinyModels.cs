using System.Collections.Concurrent;
using Kvasir.Checkpoints;
using Kvasir.Engine.Tests.Serving;
using Kvasir.Synthesis;

[assembly: AssemblyFixture(typeof(TinyModels))]

namespace Kvasir.Engine.Tests.Serving;

/// <summary>Random models so small that a step takes microseconds, written once and opened by all tests.</summary>
public sealed class TinyModels : IDisposable
{
    private static readonly DirectoryInfo Folder = Directory.CreateTempSubdirectory("kvasir-engine-tests-");
    private static readonly ConcurrentDictionary<SyntheticFamily, Lazy<Checkpoint>> Opened = new();

    /// <summary>Positions that the models were made for.</summary>
    public const int Context = 512;

    public static Checkpoint Of(SyntheticFamily family) => Opened.GetOrAdd(family, static family => new Lazy<Checkpoint>(() =>
    {
        var path = Path.Combine(Folder.FullName, $"{family}.gguf");
        SyntheticCheckpoint.Write(path, SyntheticModel.Tiny(family) with
        {
            Hidden = 64, Heads = 4, KeyValueHeads = 2, HeadSize = 16, FeedForward = 64, Vocabulary = 320, Context = Context,
        });
        return Checkpoint.Open(path);
    })).Value;

    public void Dispose()
    {
        foreach (var checkpoint in Opened.Values)
            if (checkpoint.IsValueCreated) checkpoint.Value.Dispose();
        Folder.Delete(recursive: true);
    }
}
