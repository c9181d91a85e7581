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
    [InlineData(4, 1, 1)]
    [InlineData(8, 0.5, 1.3)]
    [InlineData(16, 1, 1)]
    public void On_the_conversation_trace_the_default_has_the_lowest_time_to_first_token(int workers, double cache, double arrivals)
    {
        var path = Path.Combine(Root(), "..", "shared", "data", "traces", "mooncake", "conversation_trace.jsonl");
        Assert.SkipUnless(File.Exists(path), "The conversation trace is not there.");
        var trace = TraceReader.Read(path);
        var scenario = Fleet(workers, cache) with { ArrivalFactor = arrivals };
        var figures = PolicyCatalog.Names.Select(name => FleetSimulator.Run(trace, scenario, PolicyCatalog.Find(name)!)).ToList();
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
