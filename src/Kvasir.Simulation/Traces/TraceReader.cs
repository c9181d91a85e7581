using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;

namespace Kvasir.Simulation.Traces;

/// <summary>
/// Reads request traces: Mooncake's JSON lines (<c>timestamp, input_length, output_length, hash_ids</c>; 512 tokens per
/// hash) and Azure's CSV (<c>TIMESTAMP,ContextTokens,GeneratedTokens</c>; prompts that share nothing).
/// </summary>
public static class TraceReader
{
    private const int MooncakeBlockTokens = 512, MostPromptTokens = 10_000_000, MostOutputTokens = 1_000_000;

    /// <summary>Reads a file by its ending, <c>.jsonl</c> or <c>.csv</c>.</summary>
    /// <exception cref="TraceException">It is not a trace.</exception>
    public static Trace Read(string path)
    {
        if (!File.Exists(path)) throw new TraceException($"The trace '{path}' does not exist.");
        var name = Path.GetFileNameWithoutExtension(path);
        var requests = path.EndsWith(".csv", StringComparison.OrdinalIgnoreCase) ? ReadAzure(path) : ReadMooncake(path);
        if (requests.IsEmpty) throw new TraceException($"The trace '{path}' holds no request.");
        return new Trace(name, MooncakeBlockTokens, [.. requests.OrderBy(request => request.ArrivalSeconds)]);
    }

    private static ImmutableArray<TraceRequest> ReadMooncake(string path)
    {
        var requests = ImmutableArray.CreateBuilder<TraceRequest>();
        var number = 0;
        foreach (var line in File.ReadLines(path))
        {
            number++;
            if (line.Length == 0) continue;
            try
            {
                using var document = JsonDocument.Parse(line);
                var root = document.RootElement;
                var blocks = ImmutableArray.CreateBuilder<ulong>();
                foreach (var id in root.GetProperty("hash_ids").EnumerateArray()) blocks.Add(Name((ulong)id.GetInt64()));
                var prompt = Between(root.GetProperty("input_length").GetInt32(), 1, MostPromptTokens);
                // Only full blocks can be shared.
                var full = Math.Min(blocks.Count, prompt / MooncakeBlockTokens);
                requests.Add(new TraceRequest(root.GetProperty("timestamp").GetDouble() / 1000, prompt,
                    Between(root.GetProperty("output_length").GetInt32(), 1, MostOutputTokens), [.. blocks.Take(full)]));
            }
            catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or OverflowException)
            {
                throw new TraceException($"{path}, line {number}: not a request with timestamp, input_length, output_length and hash_ids ({error.Message}).", error);
            }
        }
        return requests.ToImmutable();
    }

    private static ImmutableArray<TraceRequest> ReadAzure(string path)
    {
        var requests = ImmutableArray.CreateBuilder<TraceRequest>();
        var (number, unique, start) = (0, 0UL, double.NaN);
        foreach (var line in File.ReadLines(path))
        {
            if (++number == 1 || line.Length == 0) continue;
            var fields = line.Split(',');
            if (fields.Length < 3 || !DateTime.TryParse(fields[0], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
                || !int.TryParse(fields[1], NumberStyles.None, CultureInfo.InvariantCulture, out var prompt) || !int.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out var output))
                throw new TraceException($"{path}, line {number}: '{line}' is not TIMESTAMP,ContextTokens,GeneratedTokens.");
            var seconds = time.Ticks / (double)TimeSpan.TicksPerSecond;
            if (double.IsNaN(start)) start = seconds;
            prompt = Between(prompt, 1, MostPromptTokens);
            var blocks = ImmutableArray.CreateBuilder<ulong>();
            for (var i = 0; i < prompt / MooncakeBlockTokens; i++) blocks.Add(Name(++unique));
            requests.Add(new TraceRequest(Math.Max(0, seconds - start), prompt, Between(output, 1, MostOutputTokens), blocks.ToImmutable()));
        }
        return requests.ToImmutable();
    }

    /// <summary>Spreads small numbers over 64 bits, as the index expects of names (SplitMix64's finalizer).</summary>
    internal static ulong Name(ulong id)
    {
        var value = id + 0x9E37_79B9_7F4A_7C15UL;
        value = (value ^ value >> 30) * 0xBF58_476D_1CE4_E5B9UL;
        value = (value ^ value >> 27) * 0x94D0_49BB_1331_11EBUL;
        return (value ^ value >> 31) | 1;
    }

    private static int Between(int value, int least, int most) => Math.Clamp(value, least, most);
}
