using System.Text.Json;
using Kvasir.Checkpoints;

namespace Kvasir.Planning.Weights;

/// <summary>Which parts of a model are stored how.</summary>
public sealed record Quantization
{
    /// <summary>A short name: "none", "fp8", "awq", "gguf-Q4_K_M".</summary>
    public required string Name { get; init; }
    /// <summary>The format of the matrices that are quantized.</summary>
    public required WeightFormat Format { get; init; }
    /// <summary>Bytes per element of what is not quantized.</summary>
    public int PlainBytes { get; init; } = 2;
    /// <summary>Only routed experts are quantized (gpt-oss, Kimi K2's W4A16).</summary>
    public bool ExpertsOnly { get; init; }
    /// <summary>Attention stays as it is (modelopt's NVFP4 of DeepSeek, and of hybrids).</summary>
    public bool KeepsAttention { get; init; }
    /// <summary>What an engine is told to quantize 16-bit weights to while it loads them ("fp8"), or null for weights stored so.</summary>
    public string? LoadFlag { get; init; }
    /// <summary>The recipe of a GGUF file, or null.</summary>
    public GgufRecipe? Gguf { get; init; }

    /// <summary>16-bit weights.</summary>
    public static Quantization None { get; } = new() { Name = "none", Format = WeightFormat.Bf16 };

    /// <summary>Names that <see cref="Parse"/> knows, besides GGUF's ("Q4_K_M").</summary>
    public static IReadOnlyList<string> Names { get; } =
        ["none", "fp32", "fp8", "fp8-tensor", "fp8-channel", "fp8-block", "int8", "awq", "gptq", "gptq-8bit", "int4", "w4a16", "nf4", "bitsandbytes", "mxfp4", "nvfp4"];

    /// <summary>Reads a name as engines, cards and people write it; null for an unknown one.</summary>
    public static Quantization? Parse(string name, ModelSpec model)
    {
        var text = name.Trim().ToLowerInvariant();
        var gguf = text.StartsWith("gguf-", StringComparison.Ordinal);
        if (gguf) text = text[5..];
        // Both kinds of files know these names; without the prefix they are Hugging Face's.
        if ((gguf || text is not ("f32" or "f16" or "bf16" or "mxfp4")) && GgufRecipe.Find(text) is { } recipe) return new() { Name = recipe.Name, Format = WeightFormat.Bf16, Gguf = recipe };
        var latent = model.Layers.Any(layer => layer.Mixer is LatentAttentionSpec);
        var hybrid = model.Layers.Any(layer => layer.Mixer is MambaSpec or GatedDeltaNetSpec);
        bool Has(params string[] parts) => parts.Any(part => text.Contains(part, StringComparison.Ordinal));
        Quantization Make(WeightFormat format) => new() { Name = text, Format = format };
        return text switch
        {
            "" or "?" => null,
            "none" or "bf16" or "fp16" or "f16" or "bfloat16" or "float16" or "half" or "auto" => None,
            "fp32" or "float32" or "f32" => Make(WeightFormat.Fp32) with { PlainBytes = 4 },
            _ when Has("mxfp4") => Make(WeightFormat.Mxfp4) with { ExpertsOnly = model.Architecture == "gpt_oss" },
            _ when Has("nvfp4", "fp4") => Make(WeightFormat.Nvfp4) with { KeepsAttention = latent || hybrid },
            _ when Has("fp8") && Has("block") => Make(WeightFormat.Fp8Block),
            _ when Has("fp8") && Has("tensor") && !Has("compressed") => Make(WeightFormat.Fp8Tensor),
            _ when Has("fp8") && Has("channel", "dynamic") => Make(WeightFormat.Fp8Channel),
            _ when Has("fp8") => Make(latent || model.Architecture.StartsWith("qwen3", StringComparison.Ordinal) ? WeightFormat.Fp8Block : WeightFormat.Fp8Channel),
            _ when Has("gptq") && Has("8bit", "int8", "8-bit") => Make(WeightFormat.Gptq8),
            _ when Has("gptq") => Make(WeightFormat.Gptq),
            _ when Has("awq", "autoround", "auto-round") => Make(WeightFormat.Awq),
            _ when Has("int4", "w4a16") && latent => Make(WeightFormat.Int4Group32) with { ExpertsOnly = true },
            _ when Has("int4", "w4a16", "4bit", "4-bit") && !Has("bitsandbytes", "bnb") => Make(WeightFormat.Awq),
            _ when Has("bitsandbytes", "bnb", "nf4") && Has("8bit", "8-bit") => Make(WeightFormat.Int8),
            _ when Has("bitsandbytes", "bnb", "nf4") => Make(WeightFormat.Nf4Double),
            _ when Has("int8", "w8a8", "smoothquant", "8bit") => Make(WeightFormat.Int8),
            _ => null,
        };
    }

    /// <summary>Reads <c>quantization_config</c> of a config.json; <see cref="None"/> where there is none.</summary>
    public static Quantization FromConfig(JsonElement config, ModelSpec model)
    {
        if (!config.TryGetProperty("quantization_config", out var quantization) || quantization.ValueKind != JsonValueKind.Object)
            return Text(config, "torch_dtype") == "float32" ? Parse("fp32", model)! : None;
        var method = Text(quantization, "quant_method") ?? "";
        var bits = quantization.TryGetProperty("bits", out var b) && b.TryGetInt32(out var n) ? n : 4;
        var name = method switch
        {
            "fp8" => quantization.TryGetProperty("weight_block_size", out _) ? "fp8-block" : "fp8-tensor",
            "gptq" => bits == 8 ? "gptq-8bit" : "gptq",
            "bitsandbytes" => quantization.TryGetProperty("load_in_8bit", out var eight) && eight.ValueKind == JsonValueKind.True ? "bnb-8bit" : "bnb-4bit",
            "compressed-tensors" => Text(quantization, "format") switch
            {
                "float-quantized" => "fp8-channel",
                "int-quantized" => "int8",
                "nvfp4-pack-quantized" => "nvfp4",
                _ => "w4a16",
            },
            "modelopt" or "modelopt_fp4" => Text(quantization, "quant_algo")?.Contains("FP4", StringComparison.OrdinalIgnoreCase) ?? true ? "nvfp4" : "fp8-tensor",
            _ => method,
        };
        return Parse(name, model) ?? throw new CheckpointException(
            $"The quantization method '{method}' in the model's configuration is not known. Give --quantization with one of {string.Join(", ", Names)}.");
    }

    /// <summary>Whether the part is stored in <see cref="Format"/>.</summary>
    public bool Reaches(WeightPart part) => part is { Matrix: true } && part.Role switch
    {
        WeightRole.Expert => true,
        WeightRole.Attention => !ExpertsOnly && !KeepsAttention && !part.Name.StartsWith("indexer.proj", StringComparison.Ordinal),
        WeightRole.Recurrent => !ExpertsOnly && !KeepsAttention,
        WeightRole.FeedForward => !ExpertsOnly,
        _ => false,
    };

    private static string? Text(JsonElement element, string key) =>
        element.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
