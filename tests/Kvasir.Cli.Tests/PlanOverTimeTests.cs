using System.Text.Json;

namespace Kvasir.Cli.Tests;

public sealed class PlanOverTimeTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvasir-plan-");

    [Fact]
    public void Users_in_conversation_are_played_in_every_format()
    {
        foreach (var (format, expected) in (ReadOnlySpan<(string, string)>)[("table", "Memory over time: 20 users"), ("markdown", "### Memory over time"), ("html", "aria-label=\"Memory over time\"")])
            Assert.Contains(expected, Fitting("--users", "20", "--format", format), StringComparison.Ordinal);
        using var json = JsonDocument.Parse(Fitting("--users", "20", "--turns", "3", "--format", "json"));
        var workload = json.RootElement.GetProperty("workload");
        Assert.Equal(60, workload.GetProperty("requests").GetInt32());
        Assert.Equal(60, workload.GetProperty("finished").GetInt32());
        Assert.InRange(workload.GetProperty("peak_running").GetInt32(), 1, 20);
        Assert.NotEqual(0, workload.GetProperty("samples").GetArrayLength());
    }

    [Fact]
    public void A_trace_is_played_and_a_line_that_is_none_is_named()
    {
        var trace = Path.Combine(_folder.FullName, "trace.jsonl");
        File.WriteAllLines(trace, Enumerable.Range(0, 40).Select(i => $$"""{"timestamp": {{i * 100}}, "input_length": 4000, "output_length": 100, "hash_ids": [0, {{i + 1}}]}"""));
        Assert.Contains("40 in ", Fitting("--workload", trace), StringComparison.Ordinal);
        File.AppendAllText(trace, "nothing");
        var (code, _, error) = PlanRun.Of(["plan", Config(), "--gpu", "H100 SXM5 80GB", "--gpus", "4", "--context", "8k", "--workload", trace]);
        Assert.Equal(1, code);
        Assert.Contains("line 41", error, StringComparison.Ordinal);
    }

    [Fact]
    public void What_calibrate_kept_corrects_later_plans_and_is_named()
    {
        var store = Path.Combine(_folder.FullName, "corrections.json");
        var log = Path.Combine(_folder.FullName, "start.log");
        File.WriteAllText(log, """
            INFO 01-01 00:00:00 [__init__.py:1] vLLM API server version 0.11.0
            INFO 01-01 00:00:00 [gpu_model_runner.py:1] Model loading took 33.5000 GiB and 12.8 seconds
            INFO 01-01 00:00:00 [gpu_worker.py:1] Available KV cache memory: 30.00 GiB
            """);
        string[] options = ["--gpu", "H100 SXM5 80GB", "--tp", "4", "--context", "8k", "--engine-version", "0.11", "--store", store];
        var before = PlanRun.Of(["plan", Config(), .. options]);
        Assert.Equal(0, before.Code);
        Assert.DoesNotContain("33.50 GiB", before.Output, StringComparison.Ordinal);
        var calibrated = PlanRun.Of(["calibrate", Config(), "--log", log, .. options]);
        Assert.True(calibrated.Code == 0, calibrated.Error);
        var after = PlanRun.Of(["plan", Config(), .. options]);
        Assert.Contains("33.50 GiB", after.Output, StringComparison.Ordinal);
        Assert.Contains("corrected by start.log", after.Output, StringComparison.Ordinal);
        // Fixes know the engine under its corrections.
        var tight = PlanRun.Of(["plan", Config(), .. options, "--concurrency", "52"]);
        Assert.Contains("95 % of the GPU", tight.Output, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private string Fitting(params string[] more)
    {
        var (code, output, error) = PlanRun.Of(["plan", Config(), "--gpu", "H100 SXM5 80GB", "--gpus", "4", "--context", "8k", .. more]);
        Assert.True(code == 0, error);
        return output;
    }

    private string Config()
    {
        var path = Path.Combine(_folder.FullName, "config.json");
        File.WriteAllText(path, PlanRun.Llama70B);
        return path;
    }
}
