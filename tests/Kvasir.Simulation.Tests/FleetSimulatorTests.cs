using Kvasir.Engine.KvCache;
using Kvasir.Gateway.Policies;
using Kvasir.Simulation.Traces;
using Kvasir.Simulation.Workers;

namespace Kvasir.Simulation.Tests;

public sealed class FleetSimulatorTests
{
    private static readonly WorkerSpeed Speed = WorkerSpeed.Flat(12_000, 0.02, 1_000_000);

    [Fact]
    public void One_request_alone_takes_its_prefill_and_its_steps()
    {
        var trace = new Trace("one", 512, [new TraceRequest(0, 12_000, 11, [])]);
        var figures = FleetSimulator.Run(trace, Fleet(1), PolicyCatalog.Find("kvasir")!);
        Assert.Equal(1.0, figures.TtftMeanSeconds, 3);
        Assert.Equal(0.02, figures.TpotMeanSeconds, 3);
        Assert.Equal(0, figures.HitRate);
    }

    [Fact]
    public void A_repeated_prompt_is_found_in_the_cache()
    {
        var blocks = Enumerable.Range(1, 20).Select(i => (ulong)i * 7919).ToArray();
        var trace = new Trace("two", 512, [new TraceRequest(0, 10_240 + 100, 2, [.. blocks]), new TraceRequest(10, 10_240 + 100, 2, [.. blocks])]);
        var figures = FleetSimulator.Run(trace, Fleet(4), PolicyCatalog.Find("kvasir")!);
        Assert.Equal(10_240.0 / (2 * 10_340), figures.HitRate, 6);
        Assert.Equal(figures.HitRate, trace.InfiniteCacheHitRate(), 6);
    }

    [Theory]
    [InlineData("chat")]
    [InlineData("rag")]
    [InlineData("agent")]
    public void Every_request_of_a_made_load_is_answered_under_every_policy_and_none_beats_an_infinite_cache(string load)
    {
        var trace = SyntheticLoads.Make(load, 1500, 4, seed: 3)!;
        var bound = trace.InfiniteCacheHitRate();
        foreach (var name in PolicyCatalog.Names)
        {
            var figures = FleetSimulator.Run(trace, Fleet(8), PolicyCatalog.Find(name)!);
            Assert.Equal(1500, figures.Requests);
            Assert.InRange(figures.HitRate, 0, bound + 1e-9);
        }
    }

    [Fact]
    public void No_policy_beats_one_cache_without_bounds()
    {
        var trace = SyntheticLoads.Make("agent", 800, 4, seed: 7)!;
        var oracle = FleetSimulator.RunOracle(trace, Fleet(4, cache: 0.2));
        Assert.InRange(oracle.HitRate, trace.InfiniteCacheHitRate() * 0.95, trace.InfiniteCacheHitRate() + 1e-9);
        foreach (var name in PolicyCatalog.Names)
        {
            var figures = FleetSimulator.Run(trace, Fleet(4, cache: 0.2), PolicyCatalog.Find(name)!);
            Assert.True(figures.HitRate <= oracle.HitRate, name);
            Assert.True(figures.TtftMeanSeconds >= oracle.TtftMeanSeconds * 0.98, name);
        }
    }

    [Fact]
    public void Equal_seeds_give_equal_figures()
    {
        var trace = SyntheticLoads.Make("chat", 500, 4, seed: 5)!;
        Assert.Equal(FleetSimulator.Run(trace, Fleet(4), PolicyCatalog.Find("random")!), FleetSimulator.Run(trace, Fleet(4), PolicyCatalog.Find("random")!));
    }

    [Theory]
    [InlineData("kvasir", 0.1)]
    [InlineData("llm-d", 0.3)]
    [InlineData("random", 0.1)]
    public void Steps_taken_together_give_the_figures_of_single_ones(string policy, double cache)
    {
        var trace = SyntheticLoads.Make("agent", 400, 3, seed: 11)!;
        // Attention and contexts count, so that no two steps take equally long; caches are so small that requests wait for room.
        var scenario = Fleet(4, cache) with { Workers = [.. Enumerable.Repeat(Speed with { AttentionSeconds = 1e-9, ReadSeconds = 1e-8, CapacityTokens = (long)(1_000_000 * cache) }, 4)] };
        var single = FleetSimulator.Run(trace, scenario, PolicyCatalog.Find(policy)!, mostRepeats: 0);
        Assert.Equal(single, FleetSimulator.Run(trace, scenario, PolicyCatalog.Find(policy)!));
        Assert.NotEqual(single, FleetSimulator.Run(trace, scenario with { Eviction = EvictionKind.Lru }, PolicyCatalog.Find(policy)!));
    }

    [Fact]
    public void A_beginning_that_another_request_computes_is_waited_for()
    {
        var blocks = Enumerable.Range(1, 20).Select(i => (ulong)i * 7919).ToArray();
        var trace = new Trace("together", 512, [.. Enumerable.Repeat(new TraceRequest(0, 10_240 + 100, 2, [.. blocks]), 3)]);
        Assert.Equal(2 * 10_240.0 / (3 * 10_340), FleetSimulator.Run(trace, Fleet(1), PolicyCatalog.Find("random")!).HitRate, 6);
    }

    [Fact]
    public void Equal_names_become_equal_tokens_and_nothing_else_does()
    {
        var trace = SyntheticLoads.Make("chat", 200, 4, seed: 2)!;
        var seen = new Dictionary<string, ulong>();
        for (var number = 0; number < trace.Requests.Length; number++)
        {
            var request = trace.Requests[number];
            var tokens = TracePrompt.Of(request, number, trace.BlockTokens);
            Assert.Equal(request.PromptTokens, tokens.Length);
            Assert.All(tokens, token => Assert.True(token >= 0));
            Assert.All(tokens[(request.Blocks.Length * trace.BlockTokens)..], token => Assert.Equal(TracePrompt.Own(number), token));
            for (var i = 0; i < request.Blocks.Length; i++)
            {
                var text = string.Join(' ', tokens.Slice(i * trace.BlockTokens, trace.BlockTokens));
                Assert.Equal(request.Blocks[i], seen.TryGetValue(text, out var name) ? name : seen[text] = request.Blocks[i]);
            }
        }
        Assert.Equal(trace.Requests.SelectMany(request => request.Blocks).Distinct().Count(), seen.Count);
    }

    [Fact]
    public void Policies_beside_each_other_come_out_in_order_as_one_by_one()
    {
        var trace = SyntheticLoads.Make("rag", 150, 8, seed: 4)!;
        var scenario = Fleet(3, cache: 0.1);
        IRoutingPolicy[] policies = [.. PolicyCatalog.Names.Select(name => PolicyCatalog.Find(name)!)];
        var (figures, oracle) = FleetSimulator.RunAll(trace, scenario, [.. policies]);
        Assert.Equal(policies.Select(policy => FleetSimulator.Run(trace, scenario, policy)), figures);
        Assert.Equal(FleetSimulator.RunOracle(trace, scenario), oracle);
        var changes = SettingsGrid.Run(trace, scenario).ToList();
        Assert.Equal(6, changes.Count);
        Assert.Equal(figures, changes[0]);
        Assert.Equal(policies.Select(policy => FleetSimulator.Run(trace, scenario with { RateError = 4 }, policy)), changes[5]);
        Assert.NotEqual(figures.AsEnumerable(), changes[1]);
    }

    [Theory]
    [InlineData(4, 1, 1, 5000)]
    [InlineData(8, 0.5, 1.3, 5000)]
    [InlineData(16, 1, 1, 12_031)]
    public void On_the_conversation_trace_the_default_has_the_lowest_time_to_first_token(int workers, double cache, double arrivals, int requests)
    {
        var path = Path.Combine(Root(), "..", "shared", "data", "traces", "mooncake", "conversation_trace.jsonl");
        Assert.SkipUnless(File.Exists(path), "The conversation trace is not there.");
        var trace = TraceReader.Read(path);
        trace = trace with { Requests = [.. trace.Requests.Take(requests)] };
        var scenario = Fleet(workers, cache) with { ArrivalFactor = arrivals };
        var figures = FleetSimulator.RunAll(trace, scenario, [.. PolicyCatalog.Names.Select(name => PolicyCatalog.Find(name)!)]).Policies;
        Assert.All(figures.Skip(1), other => Assert.True(figures[0].TtftMeanSeconds <= other.TtftMeanSeconds * 1.02, $"{other.Policy}: {other.TtftMeanSeconds:0.000} s against {figures[0].TtftMeanSeconds:0.000} s"));
        Assert.True(figures[0].TtftP99Seconds <= figures.Single(figure => figure.Policy == "least-requests").TtftP99Seconds);
    }

    [Fact]
    public void A_line_that_is_no_request_is_named()
    {
        var path = Path.GetTempFileName() + ".jsonl";
        File.WriteAllText(path, "{\"timestamp\":0,\"input_length\":5,\"output_length\":1,\"hash_ids\":[1]}\n{\"timestamp\":1}\n");
        Assert.Contains("line 2", Assert.Throws<TraceException>(() => TraceReader.Read(path)).Message, StringComparison.Ordinal);
        File.Delete(path);
    }

    private static FleetScenario Fleet(int workers, double cache = 1) =>
        new() { Workers = [.. Enumerable.Repeat(Speed with { CapacityTokens = (long)(Speed.CapacityTokens * cache) }, workers)] };

    private static string Root()
    {
        var folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "Kvasir.slnx"))) folder = Path.GetDirectoryName(folder);
        return folder ?? ".";
    }
}
