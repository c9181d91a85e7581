using System.Collections.Immutable;
using Kvasir.Engine.Tests.Serving;
using Kvasir.Kernels;

namespace Kvasir.Engine.Tests;

public sealed class KvCanaryTests
{
    private static readonly ImmutableArray<int> Text = [.. Enumerable.Range(0, 200).Select(i => i * 37 % 311)];

    private static EngineOptions Options(KvFormats format, double? bound = 10) => SteppedEngine.Roomy with { KvFormat = format, KvCanaryBound = bound, KvCanaryTokens = Text };

    [Fact]
    public async Task Fewer_bits_cost_more_and_sixteen_are_not_tried()
    {
        async Task<KvCanaryResult?> Of(KvFormats format)
        {
            await using var engine = new SteppedEngine(Options(format));
            return engine.Engine.KvCanary;
        }
        var (eight, four) = (await Of(KvFormat.Q8_0), await Of(KvFormat.Q4_0));
        Assert.True(eight!.Change > 0 && eight.Change < 0.01 && eight.Change < four!.Change, $"{eight} {four}");
        Assert.Equal(Text.Length, eight.Tokens);
        Assert.Null(await Of(KvFormat.F16));
        Assert.Null(await Of(new KvFormats(KvFormat.F32, KvFormat.BF16)));
        Assert.NotNull(await Of(new KvFormats(KvFormat.F32, KvFormat.FP8)));
    }

    [Fact]
    public void Beyond_the_bound_the_engine_does_not_start()
    {
        var refusal = Assert.Throws<KvCanaryException>(() => new SteppedEngine(Options(KvFormat.Q4_0, bound: 0)));
        Assert.Matches(@"^Keys and values in q4_0: perplexity \+.* % against f16, over 200 tokens\. That is more than the bound of 0 %: .*--kv-canary off", refusal.Message);
        Assert.True(refusal.Result.Change > 0);
    }

    [Fact]
    public async Task It_says_what_it_found_and_leaves_nothing_behind()
    {
        var said = new List<string>();
        await using var tried = new SteppedEngine(Options(KvFormat.Q4_0) with { Warn = said.Add });
        await using var untried = new SteppedEngine(Options(KvFormat.Q4_0, bound: null) with { Warn = said.Add });
        Assert.Equal([tried.Engine.KvCanary!.ToString()], said);
        Assert.Null(untried.Engine.KvCanary);
        Assert.Equal(untried.Engine.Ledger.Lines(), tried.Engine.Ledger.Lines());
        var requests = new[] { SteppedEngine.Ask(90, 20), SteppedEngine.Ask(5, 60, first: 3) };
        var texts = new[] { tried, untried }.Select(engine =>
        {
            var replies = Array.ConvertAll(requests, engine.Submit);
            engine.Finish();
            return replies.SelectMany(reply => reply.Tokens).ToArray();
        }).ToArray();
        Assert.Equal(texts[1], texts[0]);
    }

    [Fact]
    public async Task It_takes_the_room_that_there_is()
    {
        // Room for 96 tokens in Q4_0, which is room for 16 in both forms, or none.
        await using var small = new SteppedEngine(Options(KvFormat.Q4_0, bound: 0) with { ContextTokens = 96, KvTokens = 96 });
        Assert.Null(small.Engine.KvCanary);
        await using var larger = new SteppedEngine(Options(KvFormat.Q4_0) with { ContextTokens = 256, KvTokens = 256 });
        Assert.InRange(larger.Engine.KvCanary!.Tokens, 33, 199);
    }
}
