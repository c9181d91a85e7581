using Kvasir.Adapters;
using Kvasir.Gateway.Admission;
using Kvasir.Gateway.Configuration;

namespace Kvasir.Gateway.Tests.Configuration;

public sealed class GatewayFileTests
{
    private const string Hash = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

    [Fact]
    public void A_whole_file_is_read()
    {
        var options = GatewayFile.Parse("gateway.yaml", $"""
            host: 0.0.0.0
            port: 9000
            policy: llm-d
            shadows: [kvasir, round-robin]
            ttftGoalSeconds: 1.5
            maxInside: 64
            workers:
              - name: a
                url: http://10.0.0.1:8000
                engine: vllm
                model: llama
                kvEvents: tcp://10.0.0.1:5557
                kvReplay: tcp://10.0.0.1:5558
                dataParallelRanks: 2
              - url: http://10.0.0.2:8080
            discovery:
              - dns: workers.example
                port: 8000
                engine: sglang
                kvEventPort: 5557
            tenants:
              - name: search
                keySha256: {Hash}
                priority: high
                weight: 2
                tokensPerMinute: 1e6
            """);
        Assert.Equal(("0.0.0.0", 9000, "llm-d", 64), (options.Host, options.Port, options.Policy, options.MaxInside));
        Assert.Equal(["kvasir", "round-robin"], options.Shadows);
        Assert.Equal(1.5, options.TimeToFirstTokenGoal!.Value.TotalSeconds);
        Assert.Equal(["a", "10.0.0.2:8080"], options.Workers.Select(worker => worker.Name));
        Assert.Equal((EngineKind.Vllm, "tcp://10.0.0.1:5557", 2), (options.Workers[0].Engine, options.Workers[0].KvEvents, options.Workers[0].DataParallelRanks));
        Assert.Equal((EngineKind.SgLang, 8000), (options.Discoveries[0].Engine, options.Discoveries[0].Port));
        Assert.Equal((RequestPriority.High, 2.0, 1e6), (options.Tenants[0].Priority, options.Tenants[0].Weight, options.Tenants[0].TokensPerMinute));
    }

    [Theory]
    [InlineData("workers:\n  - url: http://a:1\n    enigne: vllm\n", 3, "enigne")]
    [InlineData("workers:\n  - url: http://a:1\n    engine: vlm\n", 3, "vlm")]
    [InlineData("workers:\n  - name: a\n", 2, "url")]
    [InlineData("port: 99999\nworkers:\n  - url: http://a:1\n", 1, "99999")]
    [InlineData("policy: fastest\nworkers:\n  - url: http://a:1\n", 1, "fastest")]
    [InlineData("workers:\n  - url: ftp://a:1\n", 2, "ftp")]
    [InlineData("workers: {}\n", 1, "not a list")]
    [InlineData("workers:\n  - url: http://a:1\ntenants:\n  - name: a\n    keySha256: secret\n", 5, "64")]
    [InlineData("workers:\n  - url: http://a:1\ndiscovery:\n  - port: 80\n", 4, "dns")]
    [InlineData("workers:\n  - url: [\n", 3, "YAML")]
    [InlineData("workers:\n  - url: http://a:1\n    apiKeyVariable: KVASIR_NO_SUCH_VARIABLE\n", 3, "KVASIR_NO_SUCH_VARIABLE")]
    [InlineData("workers:\n  - url: http://a:1\n    engine: llama.cpp\n    kvEvents: tcp://a:5557\n", 4, "llama.cpp")]
    [InlineData("workers:\n  - url: http://a:1\n    engine: vllm\n    kvEvents: http://a:1\n", 4, "tcp://")]
    [InlineData("workers:\n  - {name: a, url: 'http://a:1'}\n  - {name: a, url: 'http://b:1'}\n", 3, "'a'")]
    [InlineData("workers:\n  - url: http://a:1\n  - url: http://a:1\n", 3, "a:1")]
    [InlineData($"workers:\n  - url: http://a:1\ntenants:\n  - {{name: a, keySha256: {Hash}}}\n  - {{name: b, keySha256: {Hash}}}\n", 5, "keySha256")]
    public void What_is_wrong_is_named_with_its_line(string text, int line, string named)
    {
        var error = Assert.Throws<GatewayConfigurationException>(() => GatewayFile.Parse("gateway.yaml", text));
        Assert.Contains($"gateway.yaml, line {line}:", error.Message, StringComparison.Ordinal);
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("port: 80\n")]
    public void A_file_without_workers_is_refused(string text) =>
        Assert.Throws<GatewayConfigurationException>(() => GatewayFile.Parse("gateway.yaml", text));

    [Theory]
    [InlineData("http://a:8000", "http://a:8000/kv_cache_events")]
    [InlineData("http://a:9000/events", "http://a:9000/events")]
    [InlineData("tcp://a:5557", "tcp://a:5557")]
    public void Events_of_TensorRt_Llm_are_fetched_or_subscribed_to(string written, string read)
    {
        var options = GatewayFile.Parse("gateway.yaml", $"workers:\n  - url: http://a:8000\n    engine: tensorrt-llm\n    metrics: http://a:9400/prometheus\n    kvEvents: {written}\n");
        Assert.Equal((read, "http://a:9400/prometheus"), (options.Workers[0].KvEvents, options.Workers[0].Metrics!.AbsoluteUri));
    }

    [Fact]
    public async Task A_change_takes_effect_while_running_and_keeps_what_is_known_of_workers_that_stay()
    {
        await using var fleet = await TestFleet.StartAsync(2);
        var text = TestFleet.Text(1, 4000);
        using (await fleet.AskAsync(text)) { }
        var before = fleet.State.Fleet.Workers;
        fleet.State.Apply(fleet.State.Options with { Workers = [before[0].Address], Policy = "least-requests" });
        Assert.Same(before[0], Assert.Single(fleet.State.Fleet.Workers));
        Assert.True(before[1].Removed);
        using var response = await fleet.AskAsync(TestFleet.Text(2, 400));
        Assert.Equal("w0", response.Headers.GetValues("x-kvasir-worker").Single());
        Assert.Equal("least-requests", (await fleet.GetAsync("/gateway/decisions?limit=1"))[0].GetProperty("policy").GetString());
        Assert.Throws<GatewayConfigurationException>(() => fleet.State.Apply(fleet.State.Options with { Policy = "fastest" }));
        Assert.Equal("least-requests", fleet.State.Options.Policy);
        await fleet.SettleAsync();
    }

    [Fact]
    public async Task A_watched_file_is_taken_when_it_is_right_and_complained_about_when_not()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        const string Good = "workers:\n  - url: http://a:1\n", Better = "policy: llm-d\n" + Good;
        await File.WriteAllTextAsync(path, "policy: fastest\n" + Good);
        var (policies, problems) = (new List<string>(), new List<string>());
        using var stop = new CancellationTokenSource();
        var watching = new FileWatch(path, TimeProvider.System).RunAsync(Good, options => policies.Add(options.Policy), problems.Add, stop.Token);
        await TestFleet.UntilAsync(() => problems.Count == 1);
        await File.WriteAllTextAsync(path, Better);
        await TestFleet.UntilAsync(() => policies.Count == 1);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watching);
        Assert.Equal(("llm-d", 1), (policies.Single(), problems.Count));
        File.Delete(path);
    }
}
