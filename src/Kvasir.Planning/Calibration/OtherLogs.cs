using System.Globalization;
using System.Text.RegularExpressions;

namespace Kvasir.Planning.Calibration;

/// <summary>SGLang's start-up lines.</summary>
internal static class SgLangLog
{
    private const string N = @"(?<n>-?\d{1,15}(?:\.\d{1,9})?)";

    public static EngineLog Read(LogText log)
    {
        var (before, after) = (log.LeastGiB($@"Load weight begin.*?avail mem={N} ?GB"), log.LeastGiB($@"Load weight end.*?avail mem={N} ?GB"));
        var (keys, values) = (log.LeastGiB($@"K size: {N} ?GB"), log.LeastGiB($@"V size: {N} ?GB"));
        return new EngineLog
        {
            Engine = "sglang",
            Version = log.Word(@"sglang(?:\[all\])?[= ]+v?(?<n>\d+\.\d+[\w.]*)"),
            Model = log.Word(@"model_path='(?<n>[^']+)'", @"--model(?:-path)?[ =](?<n>\S+)"),
            Tensor = log.Count(@"\btp[-_]size[= ]+(?<n>\d+)", @"--tp[ =](?<n>\d+)"),
            Pipeline = log.Count(@"\bpp[-_]size[= ]+(?<n>\d+)"),
            Context = log.Longest(@"context_len(?:gth)?[= ]+(?<n>\d+)", @"--context-length[ =](?<n>\d+)"),
            MaxSequences = log.Count(@"max_running_requests[= ]+(?<n>\d+)"),
            MaxBatchedTokens = log.Count(@"chunked_prefill_size[= ]+(?<n>\d+)"),
            Utilization = log.Number(@"mem[-_]fraction[-_]static[= ]+(?<n>[01]?\.\d+)"),
            KvType = log.Word(@"kv_cache_dtype='?(?<n>[a-z]\w+)"),
            Eager = log.Has("disable_cuda_graph=True|--disable-cuda-graph"),
            WeightBytes = log.MostGiB($@"Load weight end.*?mem usage={N} ?GB") ?? (before - after),
            GraphBytes = log.MostGiB($@"Capture cuda graph end.*?mem usage={N} ?GB"),
            PoolBytes = log.LeastGiB($@"KV size: {N} ?GB") ?? (keys + values),
            PoolTokens = log.Shortest(@"KV Cache is allocated\. #tokens: (?<n>\d+)", @"#tokens: (?<n>\d+)", @"max_total_num_tokens=(?<n>\d+)"),
            Failure = log.Line("Not enough memory|out of memory|OutOfMemoryError"),
        };
    }
}

/// <summary>TensorRT-LLM's start-up lines.</summary>
internal static class TensorRtLlmLog
{
    private const string N = @"(?<n>-?\d{1,15}(?:\.\d{1,9})?)";

    public static EngineLog Read(LogText log) => new()
    {
        Engine = "trtllm",
        Version = log.Word(@"TensorRT-LLM version:? (?<n>\d[\w.]*)"),
        Tensor = log.Count(@"\btp_size[= ]+(?<n>\d+)"),
        Context = log.Longest(@"max_seq_len[= ]+(?<n>\d+)"),
        MaxSequences = log.Count(@"max_(?:num_requests|batch_size)[= ]+(?<n>\d+)"),
        MaxBatchedTokens = log.Count(@"max_num_tokens[= ]+(?<n>\d+)"),
        PoolBytes = log.LeastGiB($@"Allocated {N} GiB for max tokens in paged KV cache") ?? log.Shortest(@"Allocate (?<n>\d+) bytes for k/v cache"),
        PoolTokens = log.Shortest(@"for max tokens in paged KV cache \((?<n>\d+)\)", @"Using (?<n>\d+) tokens in paged KV cache"),
        Failure = log.Line("out of memory|OutOfMemory"),
    };
}

/// <summary>llama.cpp's start-up lines: buffers per device.</summary>
internal static class LlamaCppLog
{
    public static EngineLog Read(LogText log)
    {
        // The device that holds most is the one that decides; memory of the host only where there is no other.
        var weights = Buffers(log, @"(?:model )?");
        var device = weights.Where(entry => !entry.Key.StartsWith("CPU", StringComparison.Ordinal)).Select(entry => entry.Key).DefaultIfEmpty("CPU").MaxBy(name => weights.GetValueOrDefault(name))!;
        return new EngineLog
        {
            Engine = "llama.cpp",
            Version = log.Word(@"build: (?<n>\d+)", @"version: (?<n>\d+)"),
            Model = log.Word(@"loaded meta data with \d+ key-value pairs and \d+ tensors from (?<n>\S+)"),
            Context = log.Longest(@"n_ctx\s*= ?(?<n>\d+)"),
            MaxSequences = log.Count(@"n_seq_max\s*= ?(?<n>\d+)"),
            MaxBatchedTokens = log.Count(@"n_ubatch\s*= ?(?<n>\d+)"),
            WeightBytes = weights.TryGetValue(device, out var bytes) ? bytes : null,
            GraphBytes = Buffers(log, "compute ").TryGetValue(device, out var compute) ? compute : null,
            PoolBytes = Buffers(log, "(?:KV|RS) ").TryGetValue(device, out var pool) ? pool : Mebibytes(log, @"KV self size\s+=\s*(?<n>[\d.]+) MiB"),
            Failure = log.Line("failed to allocate|out of memory|unable to allocate"),
        };
    }

    private static Dictionary<string, long> Buffers(LogText log, string kind)
    {
        var buffers = new Dictionary<string, long>();
        foreach (Match match in log.Matches($@"(?<![\w])(?<device>[A-Za-z]\w*?)(?:_Mapped)? {kind}buffer size\s*=\s*(?<n>[\d.]+) MiB"))
            buffers[match.Groups["device"].Value] = buffers.GetValueOrDefault(match.Groups["device"].Value) + (long)(double.Parse(match.Groups["n"].ValueSpan, CultureInfo.InvariantCulture) * (1L << 20));
        return buffers;
    }

    private static long? Mebibytes(LogText log, string pattern) => log.Number(pattern) is { } count ? (long)(count * (1L << 20)) : null;
}
