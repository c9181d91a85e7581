using Kvasir.Checkpoints;
using Kvasir.Engine;
using Kvasir.Protocol.OpenAi;
using Kvasir.Synthesis;

namespace Kvasir.Embedded.Tests;

public sealed class KvasirEngineTests(Models models)
{
    [Fact]
    public void A_model_is_named_after_its_file() => Assert.Equal("scripted", models.Engine.Name);

    [Theory]
    [InlineData("folder")]
    [InlineData("split")]
    public async Task Folders_and_split_sets_are_loaded_and_named(string kind)
    {
        var path = models.File($"small-{kind}");
        var model = SyntheticModel.Tiny(SyntheticFamily.Qwen2);
        if (kind == "split") path = SyntheticCheckpoint.WriteGgufSplit(path, model, 2);
        else SyntheticCheckpoint.WriteHuggingFace(path, model);
        await using var engine = await KvasirEngine.LoadAsync(path, new KvasirOptions { Engine = Models.Options });
        Assert.Equal($"small-{kind}", engine.Name);
        Assert.True(engine.Pipeline.HasTemplate);
    }

    [Fact]
    public async Task A_missing_file_is_named()
    {
        var error = await Assert.ThrowsAsync<CheckpointException>(() => KvasirEngine.LoadAsync(models.File("nothing.gguf")));
        Assert.Contains("nothing.gguf", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_does_not_fit_is_refused_with_the_numbers_and_the_file_is_let_go()
    {
        var error = await Assert.ThrowsAsync<MemoryBudgetException>(() => models.LoadAsync(options => options with { Engine = Models.Options with { MemoryBytes = 1 << 20 } }));
        Assert.Contains("--memory", error.Message, StringComparison.Ordinal);
        await using var again = await models.LoadAsync();
        Assert.Equal(["activations", "kv/device", "kv/index", "sampling", "weights"], again.Engine.Ledger.Lines().Select(line => line.Name).Order());
    }

    [Fact]
    public async Task Disposing_ends_what_runs()
    {
        var engine = await models.LoadAsync();
        var pipeline = engine.Pipeline;
        Assert.True(pipeline.TryStart([pipeline.Request([108], new SamplingFields())], out var generation, out _));
        var reading = Task.Run(async () =>
        {
            await foreach (var _ in generation.ReadAsync()) { }
        });
        await engine.DisposeAsync();
        // Either it was cut off or it had just reached the end of its context.
        if (await Record.ExceptionAsync(() => reading) is { } error) Assert.Equal(RefusalKind.Closing, Assert.IsType<RequestException>(error).Kind);
        Assert.False(pipeline.TryStart([pipeline.Request([108], new SamplingFields())], out _, out var failure));
        Assert.Equal(FailureKind.Draining, failure.Kind);
    }
}
