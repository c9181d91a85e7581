namespace Kvasir.Kernels.Tests.Attention;

public sealed class PagedAttentionTests
{
    /// <summary>A tile of keys, and one that is not full.</summary>
    private const int Tokens = 170;

    public static TheoryData<int, int, int, KvFormat, KvFormat, int, float, bool> Cases() => new()
    {
        { 1, 1, 16, KvFormat.F32, KvFormat.F32, 0, 0, false },
        { 4, 2, 64, KvFormat.F32, KvFormat.F32, 0, 0, false },
        { 8, 2, 64, KvFormat.F16, KvFormat.F16, 0, 0, false },
        { 6, 2, 20, KvFormat.F16, KvFormat.F16, 0, 0, false },
        { 4, 1, 128, KvFormat.F16, KvFormat.F16, 0, 30, false },
        { 4, 4, 32, KvFormat.F32, KvFormat.F32, 37, 0, false },
        { 4, 2, 32, KvFormat.F16, KvFormat.F16, 130, 50, true },
        { 2, 1, 48, KvFormat.F32, KvFormat.F32, 1, 0, true },
        { 8, 2, 64, KvFormat.BF16, KvFormat.BF16, 0, 0, false },
        { 3, 1, 20, KvFormat.BF16, KvFormat.FP8, 0, 0, false },
        { 8, 2, 64, KvFormat.FP8, KvFormat.FP8, 0, 0, false },
        { 4, 4, 80, KvFormat.FP8, KvFormat.Q4_0, 37, 0, true },
        { 8, 2, 64, KvFormat.Q8_0, KvFormat.Q8_0, 0, 0, false },
        { 5, 1, 20, KvFormat.Q8_0, KvFormat.Q8_0, 0, 30, false },
        { 4, 2, 128, KvFormat.Q8_0, KvFormat.Q4_0, 130, 0, false },
        { 8, 2, 64, KvFormat.Q4_0, KvFormat.Q4_0, 0, 0, false },
        { 2, 2, 80, KvFormat.Q4_0, KvFormat.Q8_0, 0, 0, true },
        { 7, 1, 96, KvFormat.F32, KvFormat.Q4_0, 1, 0, false },
        { 12, 1, 48, KvFormat.Q4_0, KvFormat.F16, 0, 0, false },
    };

    [Theory, MemberData(nameof(Cases))]
    public void Agrees_with_softmax_attention_in_float64(int heads, int kvHeads, int size, KvFormat keys, KvFormat values, int window, float cap, bool sinks)
    {
        using var world = new AttentionWorld(new AttentionShape(heads, 0.3f, window, cap), new KvLayout(kvHeads, size, size, new KvFormats(keys, values)), Tokens, sinks);
        var expected = world.Reference();
        var actual = world.Run([Tokens], workers: 2);
        for (var i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - actual[i]) <= 2e-5, $"output {i}: {actual[i]}, expected {expected[i]}");
    }

    [Theory, MemberData(nameof(Cases))]
    public void Gives_the_same_bits_however_the_prompt_is_cut(int heads, int kvHeads, int size, KvFormat keys, KvFormat values, int window, float cap, bool sinks)
    {
        using var world = new AttentionWorld(new AttentionShape(heads, 0.3f, window, cap), new KvLayout(kvHeads, size, size, new KvFormats(keys, values)), Tokens, sinks);
        var whole = world.Run([Tokens], workers: 1);
        foreach (var cut in new int[][] { [128, Tokens - 128], [1, 16, 5, 100, Tokens - 122], [Tokens - 1, 1], [.. Enumerable.Repeat(1, Tokens)] })
            Assert.Equal(whole, world.Run(cut, workers: 2));
    }

    [Fact]
    public void Sequences_in_one_step_do_not_touch_each_other()
    {
        using var world = new AttentionWorld(new AttentionShape(4, 0.3f), new KvLayout(2, 32, 32, KvFormat.F16), 150, false);
        Assert.Equal(world.Run([150], workers: 1), world.Run([60, 90], workers: 3, together: true));
    }
}
