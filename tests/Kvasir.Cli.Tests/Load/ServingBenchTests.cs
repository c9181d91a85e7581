using Kvasir.Cli.Load;
using Kvasir.Cli.Rendering;

namespace Kvasir.Cli.Tests.Load;

public sealed class ServingBenchTests(TinyServer server) : IDisposable
{
    private static readonly LoadShape Small = new() { Requests = 4, SharedTokens = 96, PromptTokens = 24, OutputTokens = 6, Conversations = 3, Turns = 3, Concurrency = 2 };

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvasir-plots-");

    [Fact]
    public async Task Every_load_is_answered_with_the_tokens_asked_for()
    {
        var results = await RunAsync(Small, ServingLoads.SharedCold, ServingLoads.SharedWarm, ServingLoads.Conversations, ServingLoads.Random);
        Assert.Equal([4, 4, 9, 4], results.Select(result => result.Outcomes.Count));
        Assert.All(results, result =>
        {
            Assert.Empty(result.Errors);
            Assert.Equal(result.Outcomes.Count * 6, result.OutputTokens);
            Assert.All(result.Outcomes, outcome => Assert.InRange(outcome.EndSeconds, outcome.SentSeconds, result.WallSeconds + outcome.SentSeconds));
            Assert.True(result.OutputRate > 0 && result.PeakResidentBytes > 0);
        });
        // 96 shared and 24 own tokens, two line ends between them, perhaps BOS.
        Assert.All(results[0].Outcomes, outcome => Assert.InRange(outcome.PromptTokens, 120 - 10, 123 + 10));
        // Words of this vocabulary are up to five tokens long.
        Assert.All(results[3].Outcomes, outcome => Assert.InRange(outcome.PromptTokens, 24 - 5, 26 + 5));
    }

    [Fact]
    public async Task An_infinite_cache_would_find_what_was_shared_and_nothing_else()
    {
        var results = await RunAsync(Small, ServingLoads.SharedCold, ServingLoads.SharedWarm, ServingLoads.Random);
        Assert.InRange(results[0].IdealCachedTokens!.Value, 3 * 94, 3 * 102);
        Assert.InRange(results[1].IdealCachedTokens!.Value, 4 * 94, 4 * 102);
        Assert.InRange(results[2].IdealCachedTokens!.Value, 0, 4 * 4);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Each_turn_begins_with_all_that_was_said(bool interleave)
    {
        var results = await RunAsync(Small with { SharedTokens = 0, Interleave = interleave }, ServingLoads.Conversations);
        var prompts = results[0].Outcomes.Select(outcome => outcome.Asked!.Text()).OrderBy(text => text.Length).ToList();
        Assert.All(prompts[3..], later => Assert.Contains(prompts, earlier => earlier != later && later.StartsWith(earlier + "\n\n", StringComparison.Ordinal)));
        var firsts = results[0].Outcomes.Take(3).Select(outcome => outcome.Asked!.Text().Length);
        if (interleave) Assert.All(firsts, length => Assert.True(length < prompts[3].Length));
    }

    [Fact]
    public async Task Chat_completions_are_asked_with_messages()
    {
        using var bench = await server.ConnectAsync(Small with { Conversations = 2, Turns = 2 }, chat: true);
        var result = Assert.Single(await bench.RunAsync([ServingLoads.Conversations], TextWriter.Null, default));
        Assert.Empty(result.Errors);
        Assert.Equal(4 * 6, result.OutputTokens);
        Assert.Null(result.IdealCachedTokens);
    }

    [Fact]
    public async Task Arrivals_at_a_rate_do_not_wait_for_answers()
    {
        var shape = Small with { Requests = 6, Rate = 50, Concurrency = null };
        var load = await ServingLoads.BuildAsync(ServingLoads.Random, shape, new PromptWriter(shape.Seed, null), default);
        var arrivals = load.Sessions.Select(session => session.ArrivalSeconds!.Value).ToList();
        Assert.Equal(arrivals.Order(), arrivals);
        Assert.InRange(arrivals[^1], 5 / 50.0 / 4, 5 / 50.0 * 4);
        Assert.Equal(0, load.Concurrency);
        var results = await RunAsync(shape, ServingLoads.Random);
        Assert.Empty(results[0].Errors);
        Assert.All(results[0].Outcomes.Zip(arrivals), pair => Assert.True(pair.First.SentSeconds > pair.Second - 0.002, $"{pair}"));
    }

    [Fact]
    public async Task A_trace_is_replayed_with_its_lengths_and_shared_blocks()
    {
        var path = Path.Combine(_folder.FullName, "trace.jsonl");
        await File.WriteAllLinesAsync(path,
        [
            """{"timestamp": 0, "input_length": 1100, "output_length": 30, "hash_ids": [7, 8, 9]}""",
            """{"timestamp": 100, "input_length": 1200, "output_length": 40, "hash_ids": [7, 8, 10]}""",
            """{"timestamp": 200, "input_length": 600, "output_length": 50, "hash_ids": [11, 12]}""",
        ], TestContext.Current.CancellationToken);
        var results = await RunAsync(new LoadShape { Trace = path, TraceTokens = 0.1, TraceSpeed = 2 }, ServingLoads.Trace);
        var outcomes = results[0].Outcomes;
        Assert.Empty(results[0].Errors);
        Assert.Equal([3, 4, 5], outcomes.Select(outcome => outcome.OutputTokens));
        Assert.InRange(outcomes[0].PromptTokens, 106, 116);
        Assert.InRange(outcomes[2].PromptTokens, 56, 65);
        Assert.InRange(outcomes[1].SentSeconds - outcomes[0].SentSeconds, 0.04, 1);
        Assert.InRange(results[0].IdealCachedTokens!.Value, 98, 112);
    }

    [Fact]
    public async Task Results_are_plotted_and_printed()
    {
        using var bench = await server.ConnectAsync(Small);
        var results = await bench.RunAsync([ServingLoads.SharedCold, ServingLoads.Conversations], TextWriter.Null, default);
        var files = LoadPlots.Write(_folder.FullName, results);
        foreach (var name in (string[])["ttft", "tpot", "wall", "throughput", "reused", "memory-conversations"])
        {
            Assert.Contains(files, file => Path.GetFileName(file) == name + ".svg");
            Assert.Contains("<svg", await File.ReadAllTextAsync(Path.Combine(_folder.FullName, name + ".svg"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
            var picture = await File.ReadAllBytesAsync(Path.Combine(_folder.FullName, name + ".png"), TestContext.Current.CancellationToken);
            Assert.Equal("PNG", System.Text.Encoding.ASCII.GetString(picture, 1, 3));
        }
        using var console = new Spectre.Console.Testing.TestConsole();
        console.Profile.Width = 160;
        LoadText.Write(console, results);
        Assert.Contains("TTFT s", console.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("…", console.Output, StringComparison.Ordinal);
        using var json = new StringWriter();
        LoadJson.Write(json, bench.Servers, bench.Shape, results);
        using var read = System.Text.Json.JsonDocument.Parse(json.ToString());
        Assert.Equal("kvasir", read.RootElement.GetProperty("servers")[0].GetProperty("owner").GetString());
        Assert.Equal(4, read.RootElement.GetProperty("results")[0].GetProperty("each").GetArrayLength());
        Assert.True(read.RootElement.GetProperty("results")[0].GetProperty("ttft_seconds").GetProperty("p99").GetDouble() > 0);
    }

    public void Dispose() => _folder.Delete(true);

    private async Task<IReadOnlyList<LoadResult>> RunAsync(LoadShape shape, params string[] loads)
    {
        using var bench = await server.ConnectAsync(shape);
        return await bench.RunAsync(loads, TextWriter.Null, default);
    }
}
