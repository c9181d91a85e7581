using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;

namespace Kvasir.Planning.Workloads;

/// <summary>
/// Reads traces of real services: Mooncake's JSON lines (timestamp in milliseconds, input_length, output_length,
/// hash_ids of 512 tokens each; github.com/kvcache-ai/Mooncake) and Azure's CSV (TIMESTAMP,ContextTokens,GeneratedTokens;
/// github.com/Azure/AzurePublicDataset).
/// </summary>
public static class WorkloadTrace
{
    private const int MostRequests = 2_000_000;
    private const int LongestPrompt = 100_000_000;

    /// <summary>Reads a file, by the form of its first line.</summary>
    /// <exception cref="WorkloadException">A line is not of the form; there is no request.</exception>
    public static ImmutableArray<WorkloadRequest> Read(string path)
    {
        if (!File.Exists(path)) throw new WorkloadException($"{path} does not exist. Give a trace: JSON lines as Mooncake's, or CSV as Azure's.");
        return Read(File.ReadLines(path), path);
    }

    /// <summary>Reads lines.</summary>
    /// <param name="lines">The lines, the CSV's heading among them.</param>
    /// <param name="source">The file's name, for messages.</param>
    public static ImmutableArray<WorkloadRequest> Read(IEnumerable<string> lines, string source)
    {
        var requests = ImmutableArray.CreateBuilder<WorkloadRequest>();
        DateTime? start = null;
        var number = 0;
        foreach (var line in lines)
        {
            number++;
            if (string.IsNullOrWhiteSpace(line) || line.StartsWith("TIMESTAMP", StringComparison.OrdinalIgnoreCase)) continue;
            var request = line.TrimStart().StartsWith('{') ? Json(line, source, number) : Csv(line, ref start, source, number);
            if (request.PromptTokens is < 0 or > LongestPrompt || request.AnswerTokens is < 0 or > LongestPrompt || !(request.ArrivalSeconds is >= 0 and < 1e9))
                throw Wrong(source, number, "its numbers are not those of a request", null);
            requests.Add(request);
            if (requests.Count > MostRequests) throw new WorkloadException($"{source} has more than {MostRequests} requests; give a part of it.");
        }
        if (requests.Count == 0) throw new WorkloadException($"{source} holds no request. Give JSON lines as Mooncake's, or CSV as Azure's.");
        requests.Sort((left, right) => left.ArrivalSeconds.CompareTo(right.ArrivalSeconds));
        return requests.DrainToImmutable();
    }

    private static WorkloadRequest Json(string line, string source, int number)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            var root = document.RootElement;
            ImmutableArray<long> blocks = root.TryGetProperty("hash_ids", out var ids) ? [.. ids.EnumerateArray().Select(id => id.GetInt64())] : [];
            return new(root.GetProperty("timestamp").GetDouble() / 1000, root.GetProperty("input_length").GetInt32(), root.GetProperty("output_length").GetInt32(), blocks);
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw Wrong(source, number, "{\"timestamp\": ms, \"input_length\": …, \"output_length\": …, \"hash_ids\": […]} was expected", error);
        }
    }

    private static WorkloadRequest Csv(string line, ref DateTime? start, string source, int number)
    {
        var fields = line.Split(',');
        if (fields.Length >= 3
            && DateTime.TryParse(fields[0], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            && int.TryParse(fields[1], NumberStyles.Integer, CultureInfo.InvariantCulture, out var prompt)
            && int.TryParse(fields[2], NumberStyles.Integer, CultureInfo.InvariantCulture, out var answer))
        {
            start ??= time;
            return new(Math.Max(0, (time - start.Value).TotalSeconds), prompt, answer, []);
        }
        throw Wrong(source, number, "TIMESTAMP,ContextTokens,GeneratedTokens was expected", null);
    }

    private static WorkloadException Wrong(string source, int number, string what, Exception? inner) => new($"{source}, line {number}: {what}.", inner);
}
