using System.Text.Json;
using Kvasir.Cli.Tests.Fixtures;

namespace Kvasir.Cli.Tests.Commands;

/// <summary>perplexity, bench and inspect.</summary>
public sealed class MeasuringCommandTests(CommandLine line)
{
    private static readonly string Text = string.Join(' ', Enumerable.Range(0, 200).Select(i => $"word{i}"));

    [Fact]
    public void Perplexity_is_printed_with_its_error_and_the_same_as_JSON()
    {
        string[] arguments = ["perplexity", line.Gguf, "--file", line.Write("words.txt", Text), "--context", "64", "--chunks", "2"];
        var table = CommandLine.Run(arguments);
        Assert.Equal(0, table.Code);
        Assert.Matches(@"^PPL = [0-9.]+ \+/- [0-9.]+ over 62 tokens in 2 chunks of 64\n$", table.Output);
        using var json = JsonDocument.Parse(CommandLine.Run([.. arguments, "--json"]).Output);
        Assert.Equal(62, json.RootElement.GetProperty("scored_tokens").GetInt32());
        Assert.Contains(FormattableString.Invariant($"PPL = {json.RootElement.GetProperty("perplexity").GetDouble():0.0000} "), table.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_text_shorter_than_a_chunk_is_refused_with_both_lengths()
    {
        var outcome = CommandLine.Run("perplexity", line.Gguf, "--file", line.Write("short.txt", "abc"), "--context", "64");
        Assert.Equal(1, outcome.Code);
        Assert.Matches("has [0-9]+ tokens, but a chunk needs 64", outcome.Error);
    }

    [Fact]
    public void The_benchmark_gives_rates_bandwidth_and_memory()
    {
        var outcome = CommandLine.Run("bench", "engine", line.Gguf, "--prompt", "32", "--generate", "8", "--batch", "1,3", "--repeats", "2", "--threads", "1", "--json");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        using var json = JsonDocument.Parse(outcome.Output);
        var root = json.RootElement;
        var bandwidth = root.GetProperty("read_bytes_per_second").GetProperty("highest").GetDouble();
        Assert.InRange(bandwidth, 1e8, 1e13);
        Assert.Equal([1, 3], root.GetProperty("decode").EnumerateArray().Select(decode => decode.GetProperty("batch").GetInt32()));
        foreach (var decode in root.GetProperty("decode").EnumerateArray())
        {
            var rate = decode.GetProperty("tokens_per_second").GetProperty("median").GetDouble();
            var weights = rate / decode.GetProperty("batch").GetInt32() * root.GetProperty("step_weight_bytes").GetInt64();
            Assert.Equal(weights, decode.GetProperty("weight_bytes_per_second").GetDouble(), 1.0);
            Assert.Equal(weights / bandwidth, decode.GetProperty("bandwidth_share").GetDouble(), 1e-9);
        }
        var memory = root.GetProperty("memory");
        var (peak, known) = (memory.GetProperty("peak_bytes").GetInt64(), memory.GetProperty("weights_bytes").GetInt64() + memory.GetProperty("kv_bytes").GetInt64());
        // The weights that lie in memory are those of the file, and the buffer that measured the bandwidth is not counted.
        Assert.InRange(memory.GetProperty("weights_bytes").GetInt64(), root.GetProperty("step_weight_bytes").GetInt64(), root.GetProperty("file_bytes").GetInt64() * 11 / 10);
        Assert.InRange(peak, known, known + (OperatingSystem.IsLinux() ? 250L << 20 : 600L << 20));
    }

    [Fact]
    public void A_soak_tells_what_clients_met_and_what_was_left()
    {
        var outcome = CommandLine.Run("bench", "soak", line.Gguf, "--seconds", "5", "--clients", "8", "--context", "256", "--memory", "512MiB", "--kv-host", "8MiB", "--json");
        using var json = JsonDocument.Parse(outcome.Output);
        var root = json.RootElement;
        Assert.Equal(0, root.GetProperty("failed").GetInt32());
        // Memory of a runtime that began seconds ago still grows, and with that the exit code says "no".
        Assert.Equal(root.GetProperty("resident_growth").GetDouble() > 0.02 ? 1 : 0, outcome.Code);
        foreach (var name in (string[])["ledger_returned", "idle", "same_text"]) Assert.True(root.GetProperty(name).GetBoolean(), name);
        foreach (var name in (string[])["answered", "left", "hostile", "resident_settled_bytes"]) Assert.True(root.GetProperty(name).GetDouble() > 0, name);
    }

    [Theory]
    [InlineData("--seconds", "1")]
    [InlineData("--clients", "0")]
    [InlineData("--context", "16")]
    public void A_soak_of_nothing_is_refused(string option, string value)
    {
        var outcome = CommandLine.Run("bench", "soak", line.Gguf, option, value);
        Assert.NotEqual(0, outcome.Code);
        Assert.Contains($"{option} {value}", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void The_benchmarks_table_names_every_batch()
    {
        var outcome = CommandLine.Run("bench", "engine", line.Gguf, "--prompt", "16", "--generate", "4", "--batch", "2", "--repeats", "1", "--threads", "1");
        Assert.Equal(0, outcome.Code);
        foreach (var part in (string[])["prefill, 16 tokens", "decode, batch 2, 4 tokens each", "Read bandwidth", "Memory at its peak"])
            Assert.Contains(part, outcome.Output, StringComparison.Ordinal);
        Assert.DoesNotContain('\x1b', outcome.Output);
    }

    [Theory]
    [InlineData(2, "--batch '1,x' has 'x'", "--batch", "1,x")]
    [InlineData(2, "--prompt 0 is not between 1", "--prompt", "0")]
    [InlineData(2, "number of threads is 0", "--threads", "0")]
    [InlineData(1, "needs 100001 tokens in one sequence, but the model was trained for", "--prompt", "100000")]
    public void A_benchmark_that_cannot_be_run_says_why(int code, string expected, params string[] flags)
    {
        var outcome = CommandLine.Run(["bench", "engine", line.Gguf, .. flags]);
        Assert.Equal(code, outcome.Code);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Inspect_shows_spec_and_bytes_by_type_as_text_and_as_JSON()
    {
        var table = CommandLine.Run("inspect", line.Gguf, "--tensors");
        Assert.Equal(0, table.Code);
        Assert.Contains("token_embd.weight", table.Output, StringComparison.Ordinal);
        foreach (var model in (string[])[line.Gguf, line.HuggingFace])
        {
            using var json = JsonDocument.Parse(CommandLine.Run("inspect", model, "--json").Output);
            var root = json.RootElement;
            Assert.InRange(root.GetProperty("tensors_by_type").EnumerateArray().Sum(type => type.GetProperty("bytes").GetInt64()), 1, root.GetProperty("file_bytes").GetInt64());
            Assert.True(root.GetProperty("spec").GetProperty("layers").GetArrayLength() > 0);
        }
    }
}
