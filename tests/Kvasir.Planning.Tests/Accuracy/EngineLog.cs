using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Kvasir.Checkpoints;
using Kvasir.Planning.Engines;
using Kvasir.Planning.KvCache;
using Kvasir.Planning.Tests.Reference;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Tests.Accuracy;

/// <summary>One logged start of an engine: what it was told, and what it printed.</summary>
internal sealed record EngineLog(JsonElement Record, ModelSpec? Model, Device? Device)
{
    // Logs of vLLM that name no version are of the time that most dated ones are of, unless their wording is older.
    private const string UndatedVllm = "0.10", OldVllm = "0.6 V0";
    private static readonly string[] OldWordings = ["Loading model weights took", "GPU blocks:", "peak_torch_memory"];

    public string Id => Record.GetProperty("id").GetString()!;
    public string Engine => Record.GetProperty("engine").GetString()!;
    public string Quality => Record.GetProperty("quality").GetString()!;
    public string Title => $"{Id} {Record.GetProperty("model").GetString()}";
    public bool Multimodal => Model is { EncoderParameters: > 0 };

    public double? Number(string key) => Record.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;

    public bool StartFailed => Text("outcome") is { } outcome && outcome.StartsWith("fail:", StringComparison.Ordinal);

    public EngineRules Rules => Engine switch
    {
        "vllm" => new VllmRules(),
        "sglang" => new SgLangRules(),
        "trtllm" => new TensorRtLlmRules(),
        "llama.cpp" => new LlamaCppRules(),
        "max" => new MaxRules(),
        var other => throw new InvalidDataException($"{Id} names the engine {other}, which has no rules."),
    };

    /// <summary>Whether the record says that nobody knows how model and cache were stored.</summary>
    public bool FlagsUnknown => Text("quantization") == "?";

    /// <summary>The quantization, or null where the record does not say it.</summary>
    public Quantization? Quantization => Model is null ? null : Kvasir.Planning.Weights.Quantization.Parse(Text("quantization") ?? "none", Model);

    public ServingOptions Options => new()
    {
        Version = Text("engine_version") ?? (Engine != "vllm" ? null : OldWordings.Any(words => Text("log")?.Contains(words, StringComparison.Ordinal) ?? false) ? OldVllm : UndatedVllm),
        Parallelism = new Parallelism((int)(Number("tensor_parallel") ?? 1), (int)(Number("pipeline_parallel") ?? 1), Flag("ep")),
        Quantization = Quantization ?? Kvasir.Planning.Weights.Quantization.None,
        KvType = KvType.Parse(Text("kv_cache_dtype") ?? Text("cache_type") ?? "auto") ?? KvType.Bf16,
        Context = (long?)(Number("max_model_len") ?? Number("context_len") ?? Number("n_ctx")),
        MaxSequences = (int?)(Number("max_num_seqs") ?? (Engine == "sglang" ? Number("max_running_requests") : null)),
        MaxBatchedTokens = (int?)(Number("max_num_batched_tokens") ?? Number("chunked_prefill_size") ?? Number("n_ubatch")),
        Utilization = Number("gpu_memory_utilization") ?? Number("mem_fraction_static"),
        BlockSize = (int?)Number("block_size"),
        Eager = Flag("enforce_eager"),
        FlashAttention = !Record.TryGetProperty("flash_attn", out var flash) || flash.ValueKind != JsonValueKind.False,
        FullWindows = Flag("swa_full"),
        MaxImages = Limit("image"),
        MaxVideos = Limit("video"),
        ExpandedLatent = Number("mla_attn") == 0,
        OffloadBytes = (long)((Number("cpu_offload_gb") ?? 0) * (1L << 30)),
    };

    /// <summary>The estimate from model, device and flags alone; null where the record lacks one of them.</summary>
    public MemoryEstimate? Planned => Model is null || Device is null ? null : Rules.Estimate(Model, Device, Options);

    /// <summary>The estimate of what does not depend on the device.</summary>
    public MemoryEstimate? AnyDevice => Model is null ? null : Rules.Estimate(Model, Device ?? new Device("any", 80L << 30), Options);

    public static IReadOnlyList<EngineLog> All()
    {
        var configs = new Dictionary<string, JsonElement>();
        foreach (var model in ReferenceData.Json("memory/model-configs.json").EnumerateObject())
        {
            configs[model.Name] = model.Value;
            if (!model.Value.TryGetProperty("aliases", out var aliases)) continue;
            foreach (var alias in aliases.EnumerateArray()) configs.TryAdd(alias.GetString()!, model.Value);
        }
        // Every file of the kind counts, so that logs kept apart can be laid beside.
        return [.. Directory.EnumerateFiles(Path.Combine(ReferenceData.Folder!, "memory"), "engine-logs*.jsonl").Order(StringComparer.Ordinal)
            .SelectMany(File.ReadLines).Where(line => line.Length > 0)
            .Select(line => JsonDocument.Parse(line).RootElement)
            .Where(record => EngineCatalogue.Find(record.GetProperty("engine").GetString()!) is not null)
            .Select(record => new EngineLog(record, LoggedModel.Find(record.TryGetProperty("config_model", out var config) ? config.GetString() ?? "" : "", configs), LoggedDevice.Find(record)))];
    }

    /// <summary>Pictures or videos per request: as recorded, else from a flag that the log's line quotes (image=6, --max_image_num 6).</summary>
    private int? Limit(string kind) => Record.TryGetProperty("mm_limits", out var limits) ? limits.TryGetProperty(kind, out var most) ? most.GetInt32() : null
        : Regex.Match(Text("log") ?? "", $@"{kind}(?:_num|s)?[""']?\s*[:= ]\s*(?<most>\d{{1,3}})\b") is { Success: true } match ? int.Parse(match.Groups["most"].ValueSpan, CultureInfo.InvariantCulture) : null;

    private string? Text(string key) => Record.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private bool Flag(string key) => Record.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.True;
}
