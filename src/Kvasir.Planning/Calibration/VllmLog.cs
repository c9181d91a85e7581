namespace Kvasir.Planning.Calibration;

/// <summary>vLLM's start-up lines, from 0.2 to the newest known; wording changed several times.</summary>
internal static class VllmLog
{
    private const string N = @"(?<n>-?\d{1,15}(?:\.\d{1,9})?)";
    private const string Tokens = @"(?<n>[\d,]{1,20})";

    public static EngineLog Read(LogText log)
    {
        var weights = log.MostGiB($@"{N} GiB for weight", $@"Model loading took {N} G", $@"Loading model weights took {N} G", $@"model weights take {N} ?GiB");
        var peak = log.MostGiB($@"peak_torch_memory=\s*{N} ?GiB");
        var block = log.Longest(@"block[-_]size[= ]+'?(?<n>\d+)") ?? 16;
        var blocks = log.Shortest(@"# ?(?:GPU|CUDA|ROCM) blocks: ?(?<n>\d+)", @"num_gpu_blocks(?:_override)?(?: is:?|=) ?(?<n>\d+)");
        return new EngineLog
        {
            Engine = "vllm",
            Version = log.Word(@"vLLM (?:API server )?version:? v?(?<n>\d[\w.+-]*)", @"LLM engine \(v(?<n>\d[\w.+-]*)\)"),
            Model = log.Word(@"\bmodel='(?<n>[^']+)'", @"'model': '(?<n>[^']+)'", @"vllm serve (?<n>[^\s-]\S*)"),
            Tensor = log.Count(@"tensor[-_]parallel[-_]size['""]?[=: ]+(?<n>\d+)", @"-tp[ =](?<n>\d+)"),
            Pipeline = log.Count(@"pipeline[-_]parallel[-_]size['""]?[=: ]+(?<n>\d+)", @"-pp[ =](?<n>\d+)"),
            Context = log.Longest(@"max_(?:seq|model)_len['""]?[=: ]+(?<n>\d+)", @"--max-model-len[ =](?<n>\d+)", $@"Maximum concurrency for {Tokens} tokens"),
            MaxSequences = log.Count(@"max[-_]num[-_]seqs['""]?[=: ]+(?<n>\d+)"),
            MaxBatchedTokens = log.Count(@"max[-_]num[-_]batched[-_]tokens['""]?[=: ]+(?<n>\d+)"),
            Utilization = log.Number(@"gpu[-_]memory[-_]utilization\)?['""]?[=: ]+\(?(?<n>[01]?\.\d+)", @"GiB\) x \(?(?:gpu_memory_utilization )?\(?(?<n>[01]?\.\d+)", @"desired GPU memory utilization is \((?<n>[01]?\.\d+)"),
            KvType = log.Word(@"kv[-_]cache[-_]dtype['""]?[=: ]+'?(?<n>[a-z]\w+)"),
            Eager = log.Has(@"enforce[-_]eager(?:['""]?[=: ]+True|(?!['""]?[=: ]*False)\b)"),
            DeviceBytes = log.MostGiB($@"total_gpu_memory[= ]+\(?{N} ?GiB", $@"\(\s*-?[\d.]+/{N} GiB\)", $@"\({N}GiB\) x "),
            WeightBytes = weights,
            ActivationBytes = log.MostGiB($@"{N} GiB for peak activation", $@"activation peak memory takes {N} ?GiB", $@"activation peak memory {N} ?GiB", $@"torch peak memory increase: {N} ?GiB")
                ?? (peak is { } total && weights is { } loaded ? total - loaded : null),
            OverheadBytes = log.MostGiB($@"{N} GiB for non-torch", $@"non_torch_memory takes {N} ?GiB", $@"non[-_]torch[-_]memory[= ]+{N} ?GiB", $@"non-torch forward increase memory: {N} ?GiB"),
            GraphBytes = log.MostGiB($@"CUDA graph pool memory: {N} GiB \(actual", $@"{N} GiB for CUDAGraph", $@"Graph capturing (?:finished in [\d.]+ secs?, |\.\.\. )?took {N} GiB"),
            PoolBytes = log.LeastGiB($@"Available KV cache memory: {N} ?GiB", $@"reserved for KV Cache is {N} ?GiB", $@"\bKV Cache is {N} ?GiB", $@"kv_cache_size=\s*{N} ?GiB", $@"available_kv_cache_memory {N} ?GiB"),
            PoolTokens = log.Shortest($@"GPU KV cache size: {Tokens} tokens") ?? (blocks * block),
            Failure = log.Line("No available memory for the cache blocks|KV cache is needed, which is larger|estimated maximum model length|larger than the maximum number of tokens that can be stored|OutOfMemoryError|CUDA out of memory"),
        };
    }
}
