using System.Text.Json;
using Kvasir.Planning.Calibration;
using Kvasir.Planning.Tests.Reference;

namespace Kvasir.Planning.Tests.Calibration;

/// <summary>What the readers take from excerpts of real logs, against what people noted of the same logs.</summary>
public sealed class LoggedStartsTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("kv_gib_per_gpu", 36)]
    [InlineData("kv_tokens", 44)]
    [InlineData("weights_gib_per_gpu", 39)]
    [InlineData("non_torch_gib", 10)]
    [InlineData("activation_peak_gib", 9)]
    [InlineData("cuda_graph_gib", 12)]
    [InlineData("gpu_total_gib", 16)]
    [InlineData("gpu_memory_utilization", 20)]
    public void Figures_of_real_logs_are_read_as_people_read_them(string field, int least)
    {
        ReferenceData.Require();
        int read = 0, noted = 0;
        var wrong = new List<string>();
        foreach (var record in Records())
        {
            if (!record.TryGetProperty(field, out var value) || value.ValueKind != JsonValueKind.Number) continue;
            noted++;
            var text = record.GetProperty("log").GetString()!;
            var log = EngineLogReader.Read(text, record.GetProperty("engine").GetString());
            if (Figure(log, field) is not { } figure) continue;
            read++;
            // Logs print two decimals; people noted some sums.
            if (Math.Abs(figure - value.GetDouble()) > Math.Max(0.011, 0.002 * Math.Abs(value.GetDouble()))) wrong.Add($"{record.GetProperty("id").GetString()}: {figure} for {value.GetDouble()} in {text}");
        }
        output.WriteLine($"{field}: {read} of {noted} read, {wrong.Count} otherwise");
        foreach (var line in wrong) output.WriteLine(line);
        Assert.True(read >= least, $"{read} of {noted} were read");
        Assert.True(wrong.Count <= 0.05 * read, string.Join('\n', wrong));
    }

    [Fact]
    public void The_engine_is_recognized_by_its_lines()
    {
        ReferenceData.Require();
        var found = Records().Select(record => (Known: record.GetProperty("engine").GetString(), Read: EngineLogReader.Engine(record.GetProperty("log").GetString()!))).ToArray();
        Assert.All(found, pair => Assert.True(pair.Read is null || pair.Read == pair.Known, $"{pair.Known} was taken for {pair.Read}"));
        Assert.True(found.Count(pair => pair.Read is not null) >= 0.75 * found.Length);
    }

    private static double? Figure(EngineLog log, string field) => field switch
    {
        "kv_gib_per_gpu" => log.PoolBytes / (double)(1L << 30),
        "kv_tokens" => log.PoolTokens,
        "weights_gib_per_gpu" => log.WeightBytes / (double)(1L << 30),
        "non_torch_gib" => log.OverheadBytes / (double)(1L << 30),
        "activation_peak_gib" => log.ActivationBytes / (double)(1L << 30),
        "cuda_graph_gib" => log.GraphBytes / (double)(1L << 30),
        "gpu_total_gib" => log.DeviceBytes / (double)(1L << 30),
        _ => log.Utilization,
    };

    private static IEnumerable<JsonElement> Records() =>
        File.ReadLines(Path.Combine(ReferenceData.Folder!, "memory/engine-logs.jsonl")).Where(line => line.Length > 0).Select(line => JsonDocument.Parse(line).RootElement);
}
