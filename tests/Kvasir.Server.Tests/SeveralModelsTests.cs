using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Kvasir.Engine;
using Kvasir.Protocol.Memory;
using Kvasir.Server.Tests.Fixtures;

namespace Kvasir.Server.Tests;

/// <summary>Three models in one server, inside one memory budget.</summary>
public sealed partial class SeveralModelsTests
{
    private const string Chat = "/v1/chat/completions", Scripted = ThreeModels.Scripted, Llama = ThreeModels.Llama, Qwen = ThreeModels.Qwen;

    [Fact]
    public async Task Requests_that_come_mixed_get_the_texts_that_they_get_alone_within_the_budget()
    {
        await using var models = await ThreeModels.StartAsync(options: new ServerOptions { LeastTurn = TimeSpan.FromMilliseconds(50) });
        Assert.All(models.Set.Engines, engine => Assert.InRange(engine.Engine.Plan.TotalBytes, (models.Set.Ledger.BudgetBytes / 2) + 1, models.Set.Ledger.BudgetBytes));
        string[] names = [Scripted, Llama, Qwen];
        var expected = new Dictionary<(string, int), string>();
        foreach (var name in names)
        {
            // Served alone: by an engine of its own, with all the memory.
            await using var alone = await KvasirEngine.LoadAsync(models.PathOf(name), new KvasirOptions { Engine = ThreeModels.Options });
            await using var server = await TestServer.StartAsync(alone);
            for (var i = 0; i < 4; i++)
                expected[(name, i)] = (string)(await server.AskAsync(Chat, ThreeModels.Ask(name, Question(i))))["choices"]![0]!["message"]!["content"]!;
        }
        using var done = new CancellationTokenSource();
        var watch = Task.Run(() => Watch(models, done.Token));
        var random = new Random(7);
        var asked = Enumerable.Range(0, 10).SelectMany(_ => expected.Keys).OrderBy(_ => random.Next()).ToArray();
        var gate = new SemaphoreSlim(12);
        var texts = await Task.WhenAll(asked.Select(async key =>
        {
            await gate.WaitAsync();
            try
            {
                return await models.TextAsync(key.Item1, Question(key.Item2));
            }
            finally
            {
                gate.Release();
            }
        }));
        await done.CancelAsync();
        Assert.True(await watch > 0);
        Assert.All(asked.Zip(texts), pair => Assert.Equal(expected[pair.First], pair.Second));
        Assert.Equal(expected.Count * 10, Sum(await MetricsAsync(models), "kvasir_request_success_total"));
        Assert.InRange(Sum(await MetricsAsync(models), "kvasir_model_swap_seconds_count"), 2, asked.Length);
        Assert.Single(models.Awake);
    }

    [Fact]
    public async Task Who_was_used_longest_ago_gives_way()
    {
        await using var models = await ThreeModels.StartAsync(awake: 2);
        Assert.Equal([Scripted, Llama], models.Awake);
        await models.TextAsync(Scripted, "a");
        await models.TextAsync(Qwen, "a");
        Assert.Equal([Scripted, Qwen], models.Awake);
        await models.TextAsync(Llama, "a");
        Assert.Equal([Llama, Qwen], models.Awake);
    }

    [Fact]
    public async Task Where_all_may_be_awake_nobody_waits_and_each_has_its_share()
    {
        await using var models = await ThreeModels.StartAsync(awake: 3);
        Assert.Equal(3, models.Awake.Length);
        Assert.All(models.Set.Engines, engine => Assert.Equal(models.Set.Ledger.BudgetBytes / 3, engine.Engine.Ledger.BudgetBytes));
        using var running = await models.EndlessAsync();
        await Task.WhenAll(models.TextAsync(Llama, "a"), models.TextAsync(Qwen, "a"));
        Assert.Equal(0, Sum(await MetricsAsync(models), "kvasir_model_swap_seconds_count"));
        Assert.Equal(models.Set.Ledger.UsedBytes, models.Set.Engines.Sum(engine => engine.Engine.Ledger.UsedBytes));
    }

    [Fact]
    public async Task A_model_that_others_wait_for_takes_nobody_new_after_its_turn()
    {
        await using var models = await ThreeModels.StartAsync(options: new ServerOptions { LeastTurn = TimeSpan.Zero });
        var running = await models.EndlessAsync();
        var other = models.TextAsync(Llama, "a");
        await models.UntilWaitingAsync(Llama, 1);
        // The scripted model runs, but its turn is over: this one comes after the other's.
        var late = models.TextAsync(Scripted, "a");
        await models.UntilWaitingAsync(Scripted, 1);
        Assert.False(other.IsCompleted || late.IsCompleted);
        running.Dispose();
        Assert.Equal("Hello there!", await late);
        Assert.True(other.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Within_its_turn_a_model_goes_on_taking_requests()
    {
        await using var models = await ThreeModels.StartAsync(options: new ServerOptions { LeastTurn = TimeSpan.FromMinutes(5) });
        using var running = await models.EndlessAsync();
        var other = models.TextAsync(Llama, "a");
        await models.UntilWaitingAsync(Llama, 1);
        Assert.Equal("Hello there!", await models.TextAsync(Scripted, "a"));
        Assert.False(other.IsCompleted);
        running.Dispose();
        await other;
    }

    [Fact]
    public async Task A_model_that_is_asked_again_and_again_stays_within_its_turn()
    {
        await using var models = await ThreeModels.StartAsync(options: new ServerOptions { LeastTurn = TimeSpan.FromMinutes(5), LeastLinger = TimeSpan.FromSeconds(2) });
        await models.TextAsync(Scripted, "a");
        var other = models.TextAsync(Llama, "a");
        await models.UntilWaitingAsync(Llama, 1);
        for (var i = 0; i < 3; i++) await models.TextAsync(Scripted, "a");
        Assert.False(other.IsCompleted);
        // Nothing happens any more but that time passes.
        await other;
    }

    [Fact]
    public async Task Whatever_the_clock_does_between_two_looks_nobody_is_forgotten()
    {
        await using var models = await ThreeModels.StartAsync(
            options: new ServerOptions { LeastTurn = TimeSpan.FromMilliseconds(30), LeastLinger = TimeSpan.FromMilliseconds(6) }, time: new HastyTime());
        for (var i = 0; i < 60; i++)
        {
            await models.TextAsync(Llama, "a", 1);
            await models.TextAsync(Scripted, "a", 1);
        }
    }

    [Fact]
    public async Task A_client_that_leaves_while_it_waits_frees_its_place()
    {
        await using var models = await ThreeModels.StartAsync(change: options => options with { MaxSequences = 1, MaxQueue = 0 });
        using var running = await models.EndlessAsync();
        using var leaving = new CancellationTokenSource();
        var first = models.Server.PostAsync(Chat, ThreeModels.Ask(Llama, "a"), leaving.Token);
        await models.UntilWaitingAsync(Llama, 1);
        using (var full = await models.Server.PostAsync(Chat, ThreeModels.Ask(Llama, "a")))
            Assert.Equal((429, "queue_full"), await FailureAsync(full));
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        await models.UntilWaitingAsync(Llama, 0);
        // Nobody waits any more, so that the first model is open again.
        Assert.Equal([Scripted], models.Awake);
        var second = models.TextAsync(Llama, "a");
        await models.UntilWaitingAsync(Llama, 1);
        running.Dispose();
        await second;
    }

    [Fact]
    public async Task Who_leaves_while_it_waits_has_used_no_tokens()
    {
        await using var models = await ThreeModels.StartAsync(options: new ServerOptions { TenantTokensPerMinute = 5 });
        using var running = await models.EndlessAsync();
        for (var i = 0; i < 3; i++)
        {
            using var leaving = new CancellationTokenSource();
            var waiting = models.Server.PostAsync(Chat, ThreeModels.Ask(Llama, "a"), leaving.Token);
            await models.UntilWaitingAsync(Llama, 1);
            await leaving.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
            for (var tries = 0; tries < 500 && models.Server.Server.State.Inside > 1; tries++) await Task.Delay(10);
        }
        Assert.Equal(1, models.Server.Server.State.Inside);
    }

    [Fact]
    public async Task Who_waits_too_long_is_told_so_in_a_stream_too()
    {
        await using var models = await ThreeModels.StartAsync(options: new ServerOptions { ModelWait = TimeSpan.FromMilliseconds(300), KeepAliveInterval = TimeSpan.FromMilliseconds(50) });
        using var running = await models.EndlessAsync();
        var streams = models.Server.PostAsync(Chat, ThreeModels.Ask(Qwen, "a", stream: true));
        using (var late = await models.Server.PostAsync(Chat, ThreeModels.Ask(Llama, "a")))
        {
            Assert.Equal(5, late.Headers.RetryAfter!.Delta!.Value.TotalSeconds);
            Assert.Equal((503, "model_sleeping"), await FailureAsync(late));
        }
        using var stream = await streams;
        Assert.Equal(200, (int)stream.StatusCode);
        var text = await stream.Content.ReadAsStringAsync();
        Assert.StartsWith(": waiting\n\n", text, StringComparison.Ordinal);
        Assert.Contains("did not wake within 0.3 s", text, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stream_that_waited_is_answered_in_the_same_stream()
    {
        await using var models = await ThreeModels.StartAsync(options: new ServerOptions { KeepAliveInterval = TimeSpan.FromMilliseconds(50) });
        var running = await models.EndlessAsync();
        using var stream = await models.Server.PostAsync(Chat, ThreeModels.Ask(Qwen, "a", stream: true));
        running.Dispose();
        var text = await stream.Content.ReadAsStringAsync();
        Assert.StartsWith(": waiting\n\n", text, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_stops_lets_nobody_wait()
    {
        await using var models = await ThreeModels.StartAsync();
        var running = await models.EndlessAsync();
        var waiting = models.Server.PostAsync(Chat, ThreeModels.Ask(Llama, "a"));
        await models.UntilWaitingAsync(Llama, 1);
        var drained = models.Server.Server.DrainAsync();
        using (var refused = await waiting) Assert.Equal((503, "draining"), await FailureAsync(refused));
        running.Dispose();
        Assert.True(await drained);
        Assert.Equal(0, models.Server.Server.State.Inside);
    }

    [Fact]
    public async Task A_model_that_cannot_wake_disturbs_no_other()
    {
        await using var models = await ThreeModels.StartAsync();
        await using (var file = new FileStream(models.PathOf(Llama), FileMode.Open)) file.SetLength(file.Length / 2);
        for (var i = 0; i < 2; i++)
        {
            using var failed = await models.Server.PostAsync(Chat, ThreeModels.Ask(Llama, "a"));
            Assert.Contains("was written to since it was opened", await failed.Content.ReadAsStringAsync(), StringComparison.Ordinal);
            Assert.Equal((503, "model_sleeping"), await FailureAsync(failed));
            Assert.Equal([Scripted], models.Awake);
        }
        await models.TextAsync(Qwen, "a");
        Assert.Equal("Hello there!", await models.TextAsync(Scripted, "a"));
    }

    [Fact]
    public async Task What_is_refused_anyway_wakes_nobody()
    {
        await using var models = await ThreeModels.StartAsync();
        using var tooLong = await models.Server.PostAsync("/v1/completions", $$"""{"model":"{{Llama}}","prompt":"{{new string('x', 5000)}}"}""");
        Assert.Equal((400, "context_length_exceeded"), await FailureAsync(tooLong));
        using var unknown = await models.Server.PostAsync(Chat, ThreeModels.Ask("other", "a"));
        Assert.Equal((404, "model_not_found"), await FailureAsync(unknown));
        // Tokens need no weights.
        Assert.True((int)(await models.Server.AskAsync("/tokenize", $$"""{"model":"{{Llama}}","prompt":"Hello"}"""))["count"]! > 0);
        Assert.Equal([Scripted], models.Awake);
        Assert.Equal("Hello there!", (string?)(await models.Server.AskAsync(Chat, """{"messages":[{"role":"user","content":"a"}]}"""))["choices"]![0]!["message"]!["content"]);
    }

    [Fact]
    public async Task A_model_that_was_told_to_sleep_wakes_when_it_is_told()
    {
        await using var models = await ThreeModels.StartAsync();
        using (var slept = await models.Server.PostAsync($"/sleep?model={Scripted}&level=1", "")) Assert.Equal(200, (int)slept.StatusCode);
        using (var refused = await models.Server.PostAsync(Chat, ThreeModels.Ask(Scripted, "a"))) Assert.Equal((503, "model_sleeping"), await FailureAsync(refused));
        // It kept its weights, but makes room for one that is asked.
        await models.TextAsync(Llama, "a");
        Assert.Equal((SleepLevel.Weights, SleepLevel.Awake), (models.Of(Scripted).Engine.Sleeps, models.Of(Llama).Engine.Sleeps));
        using (var woken = await models.Server.PostAsync($"/wake_up?model={Scripted}", "")) Assert.Equal(200, (int)woken.StatusCode);
        Assert.Equal([Scripted], models.Awake);
        Assert.Equal("Hello there!", await models.TextAsync(Scripted, "a"));
    }

    [Fact]
    public async Task Without_a_name_all_sleep_and_all_may_be_asked_again()
    {
        await using var models = await ThreeModels.StartAsync();
        using (var slept = await models.Server.PostAsync("/sleep?level=2", "")) Assert.Equal(200, (int)slept.StatusCode);
        var told = JsonNode.Parse(await models.Server.Http.GetStringAsync("/is_sleeping"))!;
        Assert.Equal((true, 2, 3), ((bool)told["is_sleeping"]!, (int)told["level"]!, told["models"]!.AsArray().Count));
        Assert.All(told["models"]!.AsArray(), model => Assert.False((bool)model!["wakes_on_request"]!));
        Assert.Equal(503, (int)(await models.Server.Http.GetAsync("/ready")).StatusCode);
        using (var woken = await models.Server.PostAsync("/wake_up", "")) Assert.Equal(200, (int)woken.StatusCode);
        Assert.Equal([Scripted], models.Awake);
        Assert.Equal(200, (int)(await models.Server.Http.GetAsync("/ready")).StatusCode);
        await models.TextAsync(Qwen, "a");
    }

    [Fact]
    public async Task The_models_are_listed_with_their_state_and_told_apart_everywhere()
    {
        await using var models = await ThreeModels.StartAsync(options: new ServerOptions { ServedModelNames = ["one/a", "two", "three"] });
        var cards = JsonNode.Parse(await models.Server.Http.GetStringAsync("/v1/models"))!["data"]!.AsArray();
        Assert.Equal([("one/a", "awake"), ("two", "asleep"), ("three", "asleep")], cards.Select(card => ((string)card!["id"]!, (string)card["kvasir"]!["state"]!)));
        await models.Server.AskAsync(Chat, ThreeModels.Ask("two", "a long enough question to fill a block of tokens"));
        var whole = await MemoryAsync(models, "");
        Assert.Equal((models.Set.Ledger.UsedBytes, models.Set.Ledger.BudgetBytes), (whole.ReservedBytes, whole.BudgetBytes));
        Assert.Equal(["one/a", "two", "three"], whole.Tree.Children.Select(child => child.Name));
        Assert.Equal(whole.ReservedBytes, whole.Tree.Children.Sum(child => child.Bytes));
        Assert.Equal(["asleep", "awake", "asleep"], whole.Kv.Models.Select(model => model.State));
        var own = await MemoryAsync(models, "?model=two");
        Assert.Equal(whole.Kv.Tiers[0].Bytes, own.Kv.Tiers[0].Bytes);
        Assert.True(own.Kv.Models.Single().DeviceBytes > 0);
        Assert.Equal((0, 1), (await TotalAsync("?model=one/a"), await TotalAsync("?model=two")));
        var metrics = await MetricsAsync(models);
        Assert.Matches("""(?m)^kvasir_generation_tokens_total\{.*model_name="two".*\} 8$""", metrics);
        Assert.Matches("""(?m)^kvasir_sleep_level\{.*model_name="three".*\} 2$""", metrics);
        var page = await models.Server.Http.GetStringAsync("/");
        Assert.All((string[])["one/a: asleep", "two: awake", "three: asleep"], text => Assert.Contains(text, page, StringComparison.Ordinal));

        async Task<int> TotalAsync(string query) => (int)JsonNode.Parse(await models.Server.Http.GetStringAsync($"/v1/kv{query}"))!["total"]!;
    }

    [Fact]
    public async Task A_pin_wakes_its_model()
    {
        await using var models = await ThreeModels.StartAsync();
        var pinned = await models.Server.AskAsync("/v1/kv/pin", $$"""{"model":"{{Llama}}","prompt":"a prefix that is long enough to fill a block"}""");
        Assert.Equal([Llama], models.Awake);
        var id = (string)pinned["pin"]!["id"]!;
        using (var unknown = await models.Server.PostAsync("/v1/kv/unpin", $$"""{"id":"{{id}}"}""")) Assert.Equal((404, "kv_not_found"), await FailureAsync(unknown));
        await models.Server.AskAsync("/v1/kv/unpin", $$"""{"model":"{{Llama}}","id":"{{id}}"}""");
    }

    /// <summary>A clock that goes on by up to 4 ms each time it is looked at.</summary>
    private sealed class HastyTime : TimeProvider
    {
        private readonly Random _random = new(3);
        private long _ahead;

        public override long GetTimestamp()
        {
            lock (_random) return System.GetTimestamp() + (_ahead += _random.NextInt64(TimestampFrequency / 250));
        }
    }

    private static string Question(int number) => $"question {number} a";

    /// <summary>Looks at all ledgers as long as it may; gives how often.</summary>
    private static int Watch(ThreeModels models, CancellationToken done)
    {
        var looks = 0;
        for (; !done.IsCancellationRequested; looks++)
        {
            var parts = MemoryLedger.LinesOf([.. models.Set.Engines.Select(engine => engine.Engine.Ledger)]);
            Assert.InRange(parts.Sum(part => part.Sum(line => line.Bytes)), 1, models.Set.Ledger.BudgetBytes);
            Assert.InRange(parts.Count(part => part.Any(line => line.Name == "weights")), 0, 1);
            Assert.InRange(models.Set.Ledger.UsedBytes, 1, models.Set.Ledger.BudgetBytes);
            Thread.Yield();
        }
        return looks;
    }

    private static async Task<(int Status, string? Code)> FailureAsync(HttpResponseMessage response) =>
        ((int)response.StatusCode, (string?)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["code"]);

    private static Task<string> MetricsAsync(ThreeModels models) => models.Server.Http.GetStringAsync("/metrics");

    private static double Sum(string metrics, string name) => SamplePattern().Matches(metrics).Where(sample => sample.Groups["name"].Value == name)
        .Sum(sample => double.Parse(sample.Groups["value"].Value, System.Globalization.CultureInfo.InvariantCulture));

    private static async Task<MemoryAnswer> MemoryAsync(ThreeModels models, string query) =>
        System.Text.Json.JsonSerializer.Deserialize(await models.Server.Http.GetStringAsync($"/v1/memory{query}"), MemoryJson.Wire.MemoryAnswer)!;

    [GeneratedRegex(@"^(?<name>kvasir_\w+)(\{.*\})? (?<value>\S+)", RegexOptions.Multiline)]
    private static partial Regex SamplePattern();
}
