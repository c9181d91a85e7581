using Kvasir.Checkpoints;
using Kvasir.Cli.Tests.Fixtures;
using Kvasir.Synthesis;

namespace Kvasir.Cli.Tests;

public sealed class BenchModelTests(CommandLine line)
{
    [Fact]
    public void The_benchmark_model_is_what_its_card_says_how_to_make()
    {
        var made = line.Path("long-context.gguf");
        SyntheticCheckpoint.WriteGguf(made, new SyntheticModel
        {
            Family = SyntheticFamily.Llama, Type = TensorType.Q8_0, Layers = 1, Hidden = 128, Heads = 2, KeyValueHeads = 1, HeadSize = 64, FeedForward = 256,
            Vocabulary = 384, Context = 65_536, Seed = 1,
        });
        Assert.Equal(File.ReadAllBytes(made), File.ReadAllBytes(BundledModel.Find("bench")!));
    }
}
