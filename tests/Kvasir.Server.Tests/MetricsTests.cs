using System.Globalization;
using System.Text.RegularExpressions;
using Kvasir.Server.Tests.Fixtures;

namespace Kvasir.Server.Tests;

/// <summary><c>/metrics</c>: well formed, and telling what happened.</summary>
public sealed partial class MetricsTests(Models models) : IAsyncLifetime
{
    private const string Chat = "/v1/chat/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.OwnAsync(await models.LoadScriptedAsync());

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Figures_follow_what_happened()
    {
        await _server.AskAsync(Chat, """{"messages":[{"role":"user","content":"a"}],"n":2}""");
        await _server.StreamAsync(Chat, """{"messages":[{"role":"user","content":"l"}],"max_tokens":7,"stream":true}""");
        using var wrong = await _server.PostAsync(Chat, "{}");
        var samples = await SamplesAsync();
        Assert.Equal(6, samples["kvasir_prompt_tokens_total"]);
        Assert.Equal(15, samples["kvasir_generation_tokens_total"]);
        Assert.Equal(2, samples["""kvasir_request_success_total{finished_reason="stop"}"""]);
        Assert.Equal(1, samples["""kvasir_request_success_total{finished_reason="length"}"""]);
        Assert.Equal(1, samples["""kvasir_request_failure_total{code="missing_required_parameter",party="Client",stage="Parsing"}"""]);
        Assert.Equal(3, samples["kvasir_time_to_first_token_seconds_count"]);
        Assert.Equal(12, samples["kvasir_inter_token_latency_seconds_count"]);
        Assert.Equal(2, samples["kvasir_e2e_request_latency_seconds_count"]);
        Assert.Equal(0, samples["kvasir_num_requests_running"]);
        Assert.Equal(0, samples["kvasir_kv_cache_blocks_used"]);
        Assert.Equal(4096, samples["kvasir_kv_cache_blocks"]);
        Assert.Equal(65_536, samples["kvasir_kv_cache_tokens"]);
    }

    [Fact]
    public async Task The_ledger_is_told_line_by_line()
    {
        var samples = await SamplesAsync();
        var engine = _server.Server.State.Engine!.Engine;
        Assert.All(engine.Ledger.Lines(), line => Assert.Equal(line.Bytes, samples[$"kvasir_ledger_bytes{{owner=\"{line.Name}\"}}"]));
        Assert.Equal(engine.Ledger.BudgetBytes, samples["kvasir_memory_budget_bytes"]);
        Assert.InRange(samples["kvasir_process_resident_bytes"], 1 << 20, 1L << 40);
        Assert.Contains("dotnet_gc_pause_time_seconds_total", samples);
    }

    [Fact]
    public async Task A_client_that_left_is_counted_as_such()
    {
        using (var response = await _server.PostAsync(Chat, """{"messages":[{"role":"user","content":"l"}],"stream":true}"""))
            await response.Content.ReadAsStream().ReadExactlyAsync(new byte[100]);
        var samples = await SamplesAsync();
        for (var tries = 0; tries < 200 && !samples.ContainsKey("""kvasir_request_success_total{finished_reason="abort"}"""); tries++)
        {
            await Task.Delay(10);
            samples = await SamplesAsync();
        }
        Assert.Equal(1, samples["""kvasir_request_success_total{finished_reason="abort"}"""]);
    }

    [Fact]
    public async Task Scrapers_of_openmetrics_get_theirs()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        request.Headers.Accept.ParseAdd("application/openmetrics-text; version=1.0.0");
        using var response = await _server.Http.SendAsync(request);
        Assert.Equal("application/openmetrics-text", response.Content.Headers.ContentType?.MediaType);
        Assert.EndsWith("# EOF\n", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>Samples by name and labels, after every line was checked against Prometheus' text format, version 0.0.4.</summary>
    private async Task<Dictionary<string, double>> SamplesAsync()
    {
        using var response = await _server.Http.GetAsync("/metrics");
        Assert.Equal("text/plain", response.Content.Headers.ContentType?.MediaType);
        var text = await response.Content.ReadAsStringAsync();
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        var samples = new Dictionary<string, double>();
        var types = new Dictionary<string, string>();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith('#'))
            {
                var comment = CommentPattern().Match(line);
                Assert.True(comment.Success, line);
                if (comment.Groups["kind"].Value == "TYPE") Assert.True(types.TryAdd(comment.Groups["name"].Value, comment.Groups["rest"].Value), $"Typed twice: {line}");
                continue;
            }
            var sample = SamplePattern().Match(line);
            Assert.True(sample.Success, line);
            var name = sample.Groups["name"].Value;
            Assert.True(types.ContainsKey(name) || types.GetValueOrDefault(SuffixPattern().Replace(name, "")) == "histogram", $"Not typed: {line}");
            var labels = string.Join(',', LabelPattern().Matches(sample.Groups["labels"].Value).Select(label => label.Value).Where(label => !label.StartsWith("otel_", StringComparison.Ordinal)));
            var value = sample.Groups["value"].Value is "+Inf" ? double.PositiveInfinity : double.Parse(sample.Groups["value"].Value, CultureInfo.InvariantCulture);
            Assert.True(samples.TryAdd(labels.Length == 0 ? name : $"{name}{{{labels}}}", value), $"Twice: {line}");
        }
        CheckHistograms(samples, types);
        return samples;
    }

    private static void CheckHistograms(Dictionary<string, double> samples, Dictionary<string, string> types)
    {
        foreach (var (name, _) in types.Where(type => type.Value == "histogram"))
        {
            var buckets = samples.Where(sample => sample.Key.StartsWith($"{name}_bucket{{", StringComparison.Ordinal)).Select(sample => sample.Value).ToArray();
            Assert.Equal(buckets.Order(), buckets);
            Assert.Equal(samples[$"{name}_count"], samples[$"{name}_bucket{{le=\"+Inf\"}}"]);
            Assert.True(samples.ContainsKey($"{name}_sum"));
        }
    }

    [GeneratedRegex(@"^# (?<kind>TYPE|HELP|UNIT) (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) (?<rest>.+)$")]
    private static partial Regex CommentPattern();

    [GeneratedRegex(@"^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?<labels>([a-zA-Z_][a-zA-Z0-9_]*=""([^""\\\n]|\\.)*"",?)*)\})? (?<value>[-+]?(Inf|NaN|[0-9.eE+-]+))( [0-9]+)?$")]
    private static partial Regex SamplePattern();

    [GeneratedRegex(@"[a-zA-Z_][a-zA-Z0-9_]*=""([^""\\]|\\.)*""")]
    private static partial Regex LabelPattern();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex SuffixPattern();
}
