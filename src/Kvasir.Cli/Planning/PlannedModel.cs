using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Kvasir.Checkpoints;
using Kvasir.Checkpoints.Gguf;
using Kvasir.Checkpoints.Remote;
using Kvasir.Planning.Weights;

namespace Kvasir.Cli.Planning;

/// <summary>What can be known of a model from its headers or its configuration, for planning.</summary>
/// <param name="Name">As engines take it.</param>
/// <param name="Spec">Its shapes.</param>
/// <param name="Quantization">How its weights are stored.</param>
/// <param name="CheckpointBytes">Bytes of its tensors by the headers, or null where only a configuration is there.</param>
/// <param name="Gguf">Whether it is a GGUF file.</param>
public sealed partial record PlannedModel(string Name, ModelSpec Spec, Quantization Quantization, long? CheckpointBytes, bool Gguf)
{
    /// <summary>Opens a GGUF file, a Hugging Face folder or a config.json; of hf:org/name the headers alone are fetched.</summary>
    public static PlannedModel Open(string model)
    {
        if (HubModel.IsHubName(model)) return FromHubAsync(model).GetAwaiter().GetResult();
        var path = LocalModel.Resolve(model);
        if (Directory.Exists(path)) return FromFolder(model, path);
        return path.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? FromConfig(model, path, null) : FromGguf(model, path);
    }

    /// <summary>Parameters that a size alone names, "70B" or "0.5b"; null where it is no size.</summary>
    public static long? Size(string text) => SizePattern().Match(text) is { Success: true } match
        ? (long)(double.Parse(match.Groups["count"].ValueSpan, CultureInfo.InvariantCulture) * (match.Groups["unit"].Value is "b" or "B" ? 1e9 : 1e6)) : null;

    /// <summary>The same model in another quantization, whose bytes the headers do not say.</summary>
    public PlannedModel As(string quantization)
    {
        var found = Quantization.Parse(quantization, Spec)
            ?? throw new UsageException($"--quantization '{quantization}' is not known; {string.Join(", ", Quantization.Names.Concat(GgufRecipe.Names).Distinct())} are.");
        // vLLM and SGLang quantize 16-bit weights to fp8 themselves; everything else is another checkpoint.
        if (found.Format is WeightFormat.Fp8Channel or WeightFormat.Fp8Block && Quantization.Format == WeightFormat.Bf16 && Quantization.Gguf is null && CheckpointBytes is not null)
            found = found with { LoadFlag = "fp8" };
        return this with { Quantization = found, CheckpointBytes = null };
    }

    private static PlannedModel FromFolder(string name, string folder)
    {
        var config = Path.Combine(folder, "config.json");
        if (!File.Exists(config)) throw new CheckpointException($"{folder} has no config.json; give a Hugging Face folder, a GGUF file or a config.json.");
        long bytes = 0;
        foreach (var file in Directory.EnumerateFiles(folder, "*.safetensors")) bytes += TensorBytes(file);
        return FromConfig(name, config, bytes > 0 ? bytes : null);
    }

    /// <summary>A safetensors file is a length, a header and tensors without gaps: what follows the header are the tensors.</summary>
    private static long TensorBytes(string path)
    {
        using var file = File.OpenRead(path);
        Span<byte> length = stackalloc byte[8];
        file.ReadExactly(length);
        var header = System.Buffers.Binary.BinaryPrimitives.ReadInt64LittleEndian(length);
        return header >= 0 && header + 8 <= file.Length ? file.Length - 8 - header
            : throw new CheckpointException($"{path} is not a safetensors file: it claims a header of {header} bytes. Download it again.");
    }

    private static PlannedModel FromConfig(string name, string path, long? bytes)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            var spec = ModelSpecReader.FromConfig(document.RootElement, path);
            // Engines want the model's name or folder, not the file beside it.
            var model = !name.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? name
                : document.RootElement.TryGetProperty("_name_or_path", out var known) && known.GetString() is { Length: > 0 } given ? given
                : Path.GetDirectoryName(name) is { Length: > 0 } folder ? folder : ".";
            return new PlannedModel(model, spec, Quantization.FromConfig(document.RootElement, spec), bytes, Gguf: false);
        }
        catch (JsonException error)
        {
            throw new CheckpointException($"{path} is not valid JSON: {error.Message}", error);
        }
    }

    private static PlannedModel FromGguf(string name, string path)
    {
        using var header = GgufHeader.Open(path);
        var spec = ModelSpecReader.FromGguf(header.Metadata);
        var bytes = new Dictionary<GgufType, long>();
        foreach (var tensor in header.Tensors)
        {
            var type = GgufType.All.FirstOrDefault(known => known.Id == tensor.Type)
                ?? throw new CheckpointException($"{path}: tensor \"{tensor.Name}\" has the type {tensor.Type}, which is not known. Convert the model with a current converter.");
            bytes[type] = bytes.GetValueOrDefault(type) + (type.Bytes(tensor.Columns) * tensor.Rows);
        }
        // A type per role is what a recipe is: the one with most bytes names it, and the headers give the exact sum.
        var main = bytes.Count > 0 ? bytes.MaxBy(pair => pair.Value).Key.Name : throw new CheckpointException($"{path} holds a vocabulary and no weights; there is nothing to plan.");
        var recipe = GgufRecipe.Find($"{main}_M") ?? GgufRecipe.Find(main) ?? GgufRecipe.Find("Q4_K_M")!;
        var quantization = new Quantization { Name = main, Format = WeightFormat.Bf16, Gguf = recipe };
        var tied = header.Tensors.All(tensor => tensor.Name != "output.weight");
        return new PlannedModel(name, spec with { TiedEmbeddings = tied }, quantization, bytes.Values.Sum(), Gguf: true);
    }

    /// <summary>Fetches the headers of hf:org/name or hf:org/name/file.gguf and reads them.</summary>
    private static async Task<PlannedModel> FromHubAsync(string model)
    {
        if (!HubModel.TryParse(model, out var named)) throw new UsageException($"'{model}' names no model; write hf:org/name or hf:org/name/file.gguf.");
        var options = HubOptions.FromEnvironment();
        if (HubDownload.Cached(named, options) is { } cached) return named.File is null ? FromFolder(named.Repository, cached) : FromGguf(named.Repository, cached);
        if (options.Offline)
            throw new CheckpointException($"{model} is not in {options.Folder}, and {HubOptions.OfflineVariable} keeps Kvasir off the network. Unset it, or plan from files.");
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(60) };
        if (options.Token is { } token) http.DefaultRequestHeaders.Authorization = new("Bearer", token);
        var folder = named.Files(options.Endpoint);
        if (named.File is { } gguf)
        {
            using var file = await HeaderMirror.OfGgufAsync(http, new Uri(folder, gguf));
            return FromGguf(named.Repository, file.Path);
        }
        using var repository = await HeaderMirror.OfSafetensorsAsync(http, folder);
        return FromFolder(named.Repository, repository.Path);
    }

    [GeneratedRegex(@"^(?<count>\d+(?:\.\d+)?)(?<unit>[bBmM])$")]
    private static partial Regex SizePattern();
}
