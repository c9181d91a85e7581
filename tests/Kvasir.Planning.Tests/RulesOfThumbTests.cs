using Kvasir.Checkpoints;

namespace Kvasir.Planning.Tests;

public sealed class RulesOfThumbTests
{
    [Fact]
    public void Seventy_billion_parameters_in_16_bits_are_called_168_GB() =>
        Assert.Equal(168_000_000_000, RulesOfThumb.Weights(70_000_000_000, 2).Bytes);

    [Fact]
    public void A_cache_is_counted_as_if_every_head_had_its_own()
    {
        var spec = new ModelSpec
        {
            Architecture = "llama", Name = "test", VocabularySize = 1, HiddenSize = 8192, ContextLength = 8192, Norm = new NormSpec(NormKind.Rms, 1e-5f),
            Layers = [.. Enumerable.Repeat(new LayerSpec { Mixer = new NoMixerSpec(), FeedForward = null }, 80)],
        };
        Assert.Equal(2L * 4096 * 80 * 8192 * 2, RulesOfThumb.KvCache(1, 4096, spec).Bytes);
    }
}
