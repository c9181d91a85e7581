using System.CommandLine;
using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Planning.Engines;
using Kvasir.Planning.KvCache;

namespace Kvasir.Cli.Planning;

/// <summary>The flags that say where a model shall run and how.</summary>
public sealed class PlanFlags
{
    private readonly Option<string?> _gpu = new("--gpu") { Description = "The GPU: \"H100 SXM5 80GB\", \"RTX 4090\", \"A100 80GB 3g.40gb\"; \"any\" lists the set-ups that fit, smallest first.", HelpName = "NAME" };
    private readonly Option<int?> _gpus = new("--gpus") { Description = "How many of them.", HelpName = "N" };
    private readonly Option<string?> _gpuMemory = new("--gpu-memory") { Description = "Memory of each GPU as its driver reports it, instead of the catalogue's: 80GiB.", HelpName = "SIZE" };
    private readonly Option<string?> _engine = new("--engine") { Description = $"{string.Join(", ", EngineCatalogue.Names)}; without it vllm, or llama.cpp for GGUF." };
    private readonly Option<string?> _version = new("--engine-version") { Description = "The engine's version, 0.11; without it the newest known." };
    private readonly Option<int?> _tensor = new("--tp") { Description = "Tensor parallelism; without --tp and --pp the best split is searched.", HelpName = "N" };
    private readonly Option<int?> _pipeline = new("--pp") { Description = "Pipeline parallelism.", HelpName = "N" };
    private readonly Option<bool> _experts = new("--ep") { Description = "Place whole experts on GPUs." };
    private readonly Option<string?> _context = new("--context") { Description = "Tokens of one request: 32k, 131072; without it what the model allows.", HelpName = "N" };
    private readonly Option<int> _concurrency = new("--concurrency") { Description = "Requests of that context together.", HelpName = "N", DefaultValueFactory = _ => 1 };
    private readonly Option<int?> _sequences = new("--max-seqs") { Description = "Most requests that run together; without it the engine's default.", HelpName = "N" };
    private readonly Option<int?> _batch = new("--max-batched-tokens") { Description = "Most tokens per step; without it the engine's default.", HelpName = "N" };
    private readonly Option<double?> _utilization = new("--utilization") { Description = "Share of the GPU the engine may take; without it the engine's default.", HelpName = "X" };
    private readonly Option<string?> _kvType = new("--kv-dtype") { Description = $"How keys and values are stored: {string.Join(", ", KvType.Names)}." };
    private readonly Option<bool> _eager = new("--enforce-eager") { Description = "No CUDA graphs." };
    private readonly Option<bool> _textOnly = new("--text-only") { Description = "Leave vision and audio towers out." };

    private readonly Option<int?> _images = new("--images") { Description = "Most pictures per request, for models that see; without it one.", HelpName = "N" };
    private readonly Option<int?> _videos = new("--videos") { Description = "Most videos per request, for models that see; without it one.", HelpName = "N" };

    private const long LeastMemory = 64L << 20;

    /// <summary>The GPU's name, or null.</summary>
    public string? Gpu(ParseResult parse) => parse.GetValue(_gpu);

    /// <summary>The engine's name, or null.</summary>
    public string? Engine(ParseResult parse) => parse.GetValue(_engine);

    /// <summary>Requests together.</summary>
    public int Concurrency(ParseResult parse) => parse.GetRequiredValue(_concurrency);

    /// <summary>Number of GPUs: as said, else what the split needs, else one.</summary>
    public int Gpus(ParseResult parse)
    {
        int? given = parse.GetValue(_gpus), tensor = parse.GetValue(_tensor), pipeline = parse.GetValue(_pipeline);
        if (given is <= 0 || tensor is <= 0 || pipeline is <= 0) throw new UsageException("--gpus, --tp and --pp must be at least 1.");
        var split = (tensor ?? 1) * (pipeline ?? 1);
        if (given is { } gpus && split > gpus) throw new UsageException($"--tp {tensor ?? 1} × --pp {pipeline ?? 1} needs {split} GPUs, but --gpus is {gpus}.");
        return given ?? split;
    }

    /// <summary>The split that was given, or null where it is to be searched.</summary>
    public Kvasir.Planning.Weights.Parallelism? Split(ParseResult parse)
    {
        int? tensor = parse.GetValue(_tensor), pipeline = parse.GetValue(_pipeline);
        if (tensor is null && pipeline is null && !parse.GetValue(_experts)) return null;
        var gpus = Gpus(parse);
        var stages = pipeline ?? Math.Max(1, tensor is { } t && parse.GetValue(_gpus) is not null ? gpus / t : 1);
        return new(tensor ?? Math.Max(1, gpus / stages), stages, parse.GetValue(_experts));
    }

    /// <summary>Memory that was given for each GPU, or null.</summary>
    public long? GpuMemory(ParseResult parse)
    {
        if (parse.GetValue(_gpuMemory) is not { } text) return null;
        if (!ByteSize.TryParse(text, out var size) || size.Bytes <= 0) throw new UsageException($"--gpu-memory '{text}' is not a size; write 80GiB, 24GB or a number of bytes.");
        return size.Bytes >= LeastMemory ? size.Bytes
            : throw new UsageException($"--gpu-memory '{text}' is {size}, less than any GPU has; write the unit, such as 80GiB.");
    }

    /// <summary>The options, except split and quantization.</summary>
    public ServingOptions Read(ParseResult parse) => new()
    {
        Version = parse.GetValue(_version),
        Context = Tokens(parse.GetValue(_context)),
        MaxSequences = parse.GetValue(_sequences),
        MaxBatchedTokens = parse.GetValue(_batch),
        Utilization = parse.GetValue(_utilization),
        KvType = KvTypes(parse).Keys,
        ValueKvType = KvTypes(parse).Values,
        Eager = parse.GetValue(_eager),
        TextOnly = parse.GetValue(_textOnly),
        MaxImages = Items(parse, _images),
        MaxVideos = Items(parse, _videos),
    };

    /// <summary>One type, or "k=q8_0,v=q4_0".</summary>
    private (KvType Keys, KvType? Values) KvTypes(ParseResult parse)
    {
        if (parse.GetValue(_kvType) is not { } text) return (KvType.Bf16, null);
        if (!text.Contains('=', StringComparison.Ordinal)) return (Known(text), null);
        KvType? keys = null, values = null;
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            if (part.StartsWith("k=", StringComparison.OrdinalIgnoreCase) && keys is null) keys = Known(part[2..]);
            else if (part.StartsWith("v=", StringComparison.OrdinalIgnoreCase) && values is null) values = Known(part[2..]);
            else throw new UsageException($"--kv-dtype '{text}' is not a type, nor one of keys and one of values; write q8_0 or k=q8_0,v=q4_0.");
        }

        return (keys ?? KvType.Bf16, values ?? KvType.Bf16);
    }

    private static KvType Known(string name) =>
        KvType.Parse(name) ?? throw new UsageException($"--kv-dtype '{name}' is not known; {string.Join(", ", KvType.Names)} are.");

    private static int? Items(ParseResult parse, Option<int?> option) => parse.GetValue(option) is not { } most || most >= 0 ? parse.GetValue(option)
        : throw new UsageException($"{option.Name} must not be negative.");

    /// <summary>Adds the flags to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_gpu, _gpus, _gpuMemory, _engine, _version, _tensor, _pipeline, _experts, _context, _concurrency, _sequences, _batch, _utilization, _kvType, _eager, _textOnly, _images, _videos])
            command.Options.Add(option);
    }

    /// <summary>Reads "32k" (× 1024), "1m" or a plain number.</summary>
    private static long? Tokens(string? text)
    {
        if (text is null) return null;
        var factor = text.Length > 0 ? char.ToLowerInvariant(text[^1]) switch { 'k' => 1L << 10, 'm' => 1L << 20, _ => 1 } : 1;
        var digits = factor > 1 ? text[..^1] : text;
        return double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number * factor is >= 1 and <= 1e9
            ? (long)(number * factor)
            : throw new UsageException($"--context '{text}' is not a number of tokens; write 32k, 131072 or 1m.");
    }
}
