using Kvasir.Engine;
using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Synthesis;

namespace Kvasir.Embedded.Tests;

/// <summary>Several models in one budget.</summary>
public sealed class ModelSetTests(Models models) : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvasir-test-");

    [Fact]
    public async Task The_first_begin_awake_and_each_has_its_part_of_the_whole()
    {
        await using var set = await LoadAsync(2, Models.Options with { KvHostBytes = 3 << 20 });
        Assert.Equal(["scripted", "tiny", "second"], set.Engines.Select(engine => engine.Name));
        Assert.Equal([SleepLevel.Awake, SleepLevel.Awake, SleepLevel.Weights], set.Engines.Select(engine => engine.Engine.Sleeps));
        Assert.Equal(set.Ledger.UsedBytes, set.Engines.Sum(engine => engine.Engine.Ledger.UsedBytes));
        Assert.All(set.Engines, engine => Assert.InRange(engine.Engine.Ledger.Lines().Single(line => line.Name == "kv/host").Bytes, 1, 1 << 20));
        // Further models have tokenizers, which the process's own part of the memory has no room for.
        Assert.InRange(set.Ledger.BudgetBytes, 1, (1L << 30) - MemoryBudget.RuntimeBytes - (2 * 320 * 200));
    }

    [Fact]
    public async Task Awake_beside_too_many_finds_the_ledger_full()
    {
        await using var set = await LoadAsync(1, Models.Options with { KvTokens = null, MaxSequences = 64, MemoryBytes = MemoryBudget.RuntimeBytes + (24 << 20) });
        await Assert.ThrowsAsync<MemoryBudgetException>(set.Engines[1].Engine.WakeAsync);
        Assert.InRange(set.Ledger.UsedBytes, 1, set.Ledger.BudgetBytes);
        await set.Engines[0].Engine.SleepAsync(SleepLevel.Weights, TimeSpan.FromSeconds(30));
        await set.Engines[1].Engine.WakeAsync();
    }

    [Fact]
    public async Task A_model_that_does_not_fit_its_share_is_refused_with_the_numbers()
    {
        var error = await Assert.ThrowsAsync<MemoryBudgetException>(() => LoadAsync(3, Models.Options with { MemoryBytes = MemoryBudget.RuntimeBytes + (8 << 20) }));
        Assert.StartsWith("'scripted' needs ", error.Message, StringComparison.Ordinal);
        Assert.Contains("of 3 models 3 are awake at a time. Lower --awake. Weights take ", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2 models are named 'scripted'", 1, false, "scripted", "tiny", "scripted")]
    [InlineData("There are 3 models, but 2 names", 1, false, "one", "two")]
    [InlineData("4 models would be awake", 4, false, "a", "b", "c")]
    [InlineData("0 models would be awake", 0, false, "a", "b", "c")]
    [InlineData("KV events do not say whose they are", 1, true, "a", "b", "c")]
    public async Task What_contradicts_itself_is_refused(string expected, int awake, bool tellsEvents, params string[] names)
    {
        var error = await Assert.ThrowsAsync<ArgumentException>(() => LoadAsync(awake, Models.Options with { KvEvents = tellsEvents ? _ => { } : null }, names));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_model_twice_has_no_two_folders_on_disk()
    {
        var copy = Path.Combine(_folder.FullName, "copy.gguf");
        File.Copy(models.File("scripted.gguf"), copy);
        var options = Models.Options with { KvDisk = new KvDiskOptions(Path.Combine(_folder.FullName, "kv"), 16 << 20) };
        var error = await Assert.ThrowsAsync<KvTierException>(() => ModelSet.LoadAsync([models.File("scripted.gguf"), copy], [], 1, new KvasirOptions { Engine = options }));
        Assert.Contains("'scripted' and 'copy' are one model", error.Message, StringComparison.Ordinal);
        // Without the disk nothing hinders it, and what was opened before was let go.
        await using var set = await ModelSet.LoadAsync([models.File("scripted.gguf"), copy], [], 1, new KvasirOptions { Engine = Models.Options });
        Assert.Equal(2, set.Engines.Length);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private Task<ModelSet> LoadAsync(int awake, EngineOptions options, params string[] names)
    {
        var (tiny, second) = (Path.Combine(_folder.FullName, "tiny.gguf"), Path.Combine(_folder.FullName, "second"));
        SyntheticCheckpoint.Write(tiny, SyntheticModel.Tiny(SyntheticFamily.Llama));
        SyntheticCheckpoint.WriteHuggingFace(second, SyntheticModel.Tiny(SyntheticFamily.Qwen2));
        return ModelSet.LoadAsync([models.File("scripted.gguf"), tiny, second], names, awake, new KvasirOptions { Engine = options });
    }
}
