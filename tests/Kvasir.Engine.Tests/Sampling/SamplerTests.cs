using System.Collections.Immutable;
using Kvasir.Engine.Sampling;

namespace Kvasir.Engine.Tests.Sampling;

public sealed class SamplerTests
{
    /// <summary>Probabilities 0.4, 0.3, 0.2, 0.1 for tokens 2, 0, 3, 1.</summary>
    private static readonly float[] Logits = [MathF.Log(0.3f), MathF.Log(0.1f), MathF.Log(0.4f), MathF.Log(0.2f)];

    private static double[] Frequencies(SamplingOptions options, TokenHistory? history = null, int draws = 20_000)
    {
        var sampler = new Sampler(Logits.Length);
        var counts = new double[Logits.Length];
        for (var i = 0; i < draws; i++) counts[sampler.Sample(Logits, options, history, SeededDraw.At(42, i))]++;
        return [.. counts.Select(count => count / draws)];
    }

    private static void Near(double[] expected, double[] actual)
    {
        for (var i = 0; i < expected.Length; i++) Assert.InRange(actual[i], expected[i] - 0.015, expected[i] + 0.015);
    }

    [Fact]
    public void Without_options_tokens_come_as_often_as_the_model_says() => Near([0.3, 0.1, 0.4, 0.2], Frequencies(new()));

    [Fact]
    public void Greedy_takes_the_most_likely_token() => Near([0, 0, 1, 0], Frequencies(SamplingOptions.Greedy, draws: 50));

    [Fact]
    public void Top_k_keeps_k() => Near([3 / 7.0, 0, 4 / 7.0, 0], Frequencies(new() { TopK = 2 }));

    [Fact]
    public void Top_p_keeps_the_smallest_set_with_that_mass() => Near([0.3 / 0.9, 0, 0.4 / 0.9, 0.2 / 0.9], Frequencies(new() { TopP = 0.75f }));

    [Fact]
    public void Min_p_is_relative_to_the_best() => Near([3 / 7.0, 0, 4 / 7.0, 0], Frequencies(new() { MinP = 0.6f }));

    [Fact]
    public void Temperature_sharpens_and_flattens()
    {
        Near([0.09 / 0.3, 0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3], Frequencies(new() { Temperature = 0.5f }));
    }

    /// <summary>The entropy is 1.28 nats: token 0 (1.20) is the most typical, then token 3 (1.61), token 2 (0.92), token 1 (2.30).</summary>
    [Fact]
    public void Typical_sampling_keeps_tokens_of_usual_surprise() =>
        Near([0.6, 0, 0, 0.4], Frequencies(new() { TypicalP = 0.45f }));

    [Fact]
    public void A_bias_of_minus_100_bans_and_of_100_forces()
    {
        Near([0.3 / 0.6, 0.1 / 0.6, 0, 0.2 / 0.6], Frequencies(new() { LogitBias = ImmutableDictionary<int, float>.Empty.Add(2, -100) }));
        Near([0, 1, 0, 0], Frequencies(new() { LogitBias = ImmutableDictionary<int, float>.Empty.Add(1, 100) }));
    }

    [Fact]
    public void Penalties_look_at_prompt_and_text_as_documented()
    {
        var history = new TokenHistory([3]);
        history.Add(2);
        history.Add(2);
        // Frequency 2 × 0.5 and presence 0.5 on token 2 alone: its odds fall by e^1.5.
        var weight = 0.4 * Math.Exp(-1.5);
        Near([0.3 / (0.6 + weight), 0.1 / (0.6 + weight), weight / (0.6 + weight), 0.2 / (0.6 + weight)],
            Frequencies(new() { FrequencyPenalty = 0.5f, PresencePenalty = 0.5f }, history));
        // Logits are negative here, so a repetition penalty of 2 squares the probabilities of tokens 2 and 3.
        Near([0.3 / 0.6, 0.1 / 0.6, 0.16 / 0.6, 0.04 / 0.6], Frequencies(new() { RepetitionPenalty = 2 }, history));
    }

    [Fact]
    public void A_draw_depends_on_seed_and_position_alone()
    {
        Assert.Equal(SeededDraw.At(7, 100), SeededDraw.At(7, 100));
        Assert.NotEqual(SeededDraw.At(7, 100), SeededDraw.At(7, 101));
        Assert.NotEqual(SeededDraw.At(7, 100), SeededDraw.At(8, 100));
        Assert.All(Enumerable.Range(0, 1000), i => Assert.InRange(SeededDraw.At(0, i), 0, 0.9999999999999999));
    }

    [Fact]
    public void Sampling_allocates_nothing()
    {
        var sampler = new Sampler(1000);
        var logits = Enumerable.Range(0, 1000).Select(i => (float)Math.Sin(i)).ToArray();
        var options = new SamplingOptions { TopK = 40, TopP = 0.9f, MinP = 0.01f, TypicalP = 0.95f };
        sampler.Sample(logits, options, null, 0.5);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++) sampler.Sample(logits, options, null, 0.5);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Log_probabilities_are_normalized_and_sorted()
    {
        var top = LogProbabilities.Top(Logits, LogProbabilities.LogSum(Logits), 3);
        Assert.Equal([2, 0, 3], top.Select(entry => entry.Token));
        Assert.Equal(Math.Log(0.4), top[0].Value, 5);
    }

    [Theory]
    [InlineData("temperature")]
    [InlineData("top_p")]
    [InlineData("min_p")]
    [InlineData("presence_penalty")]
    public void An_option_out_of_range_is_named(string field)
    {
        SamplingOptions options = field switch
        {
            "temperature" => new() { Temperature = -1 },
            "top_p" => new() { TopP = 0 },
            "min_p" => new() { MinP = float.NaN },
            _ => new() { PresencePenalty = 3 },
        };
        Assert.StartsWith(field, options.Problem(), StringComparison.Ordinal);
        Assert.Null(new SamplingOptions().Problem());
    }
}
