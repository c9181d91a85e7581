using System.Collections.Immutable;
using Kvasir.Checkpoints.Families;
using Kvasir.Checkpoints.Safetensors;
using Kvasir.Checkpoints.Tokenizers;

namespace Kvasir.Checkpoints.HuggingFace;

/// <summary>Reads a model from a directory with config.json and safetensors.</summary>
internal static class HuggingFaceCheckpoint
{
    // Where the trunk's names begin: plain, multimodal (older and newer), and a bare trunk.
    private static readonly (string Trunk, string Output)[] Prefixes =
        [("model.", ""), ("language_model.model.", "language_model."), ("model.language_model.", ""), ("", "")];

    public static CheckpointContent Open(string directory)
    {
        var configPath = Path.Combine(directory, "config.json");
        var (config, configBytes) = JsonFile.Read(configPath);
        var (family, fields) = ModelSpecReader.Find(config, configPath);
        var spec = family.FromConfig(fields);
        if (family.HuggingFaceNames is not { } names)
            throw new CheckpointException($"{directory}: the architecture \"{spec.Architecture}\" can be planned but not run.");
        var files = SafetensorsShards.Open(directory);
        try
        {
            var tensors = SafetensorsShards.Merge(files);
            var (trunk, output) = Prefixes.FirstOrDefault(prefix => tensors.ContainsKey($"{prefix.Trunk}{names.Embedding}.weight"), Prefixes[0]);
            string? Explain(string name) => files.Select(file => file.OtherTypes.GetValueOrDefault(name)).FirstOrDefault(type => type is not null) is { } type
                ? $"it is stored as {type}; F32, F16 and BF16 are read" : null;
            var bound = new TensorBinder(tensors, names, trunk, output, directory, Explain).Bind(spec);
            return new CheckpointContent
            {
                Format = "safetensors",
                Files = [.. files.Select(file => file.File)],
                HeaderBytes = [.. files.Select(file => file.DataStart)],
                Spec = spec with { Name = NameOf(directory), ParameterCount = CountParameters(tensors, spec, output + names.Output) },
                Tensors = bound,
                AllTensors = [.. files.SelectMany(file => file.Tensors)],
                OpenTokenizer = () => Tokenizer.FromTokenizerJson(directory),
                ChatTemplate = ChatTemplateFile.Read(directory),
                Defaults = ReadDefaults(directory, fields),
                Configuration = configBytes,
            };
        }
        catch
        {
            foreach (var file in files) file.Dispose();
            throw;
        }
    }

    private static string NameOf(string directory) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory)));

    /// <summary>A tied output projection that is stored all the same is not counted.</summary>
    private static long CountParameters(IReadOnlyDictionary<string, TensorEntry> tensors, ModelSpec spec, string output) =>
        tensors.Values.Where(tensor => !(spec.TiedEmbeddings && tensor.Name == output + ".weight")).Sum(tensor => tensor.Rows * tensor.Columns);

    private static GenerationDefaults ReadDefaults(string directory, ConfigFields config)
    {
        var generation = JsonFile.TryFields(Path.Combine(directory, "generation_config.json"));
        return new GenerationDefaults
        {
            BeginToken = generation?.Integer("bos_token_id") ?? config.Integer("bos_token_id"),
            EndTokens = ReadEnds(generation) is { IsEmpty: false } ends ? ends : ReadEnds(config),
            Sample = generation?.Flag("do_sample"),
            Temperature = (float?)generation?.Number("temperature"),
            TopK = generation?.Integer("top_k"),
            TopP = (float?)generation?.Number("top_p"),
            MinP = (float?)generation?.Number("min_p"),
            RepetitionPenalty = (float?)generation?.Number("repetition_penalty"),
        };
    }

    /// <summary>eos_token_id, a number or a list of them.</summary>
    private static ImmutableArray<int> ReadEnds(ConfigFields? fields)
    {
        if (fields is null || !fields.TryFind("eos_token_id", out var value)) return [];
        return value.Value.ValueKind == System.Text.Json.JsonValueKind.Array
            ? [.. fields.Numbers("eos_token_id")!.Value.Select(id => (int)id)]
            : [fields.RequiredInteger("eos_token_id")];
    }
}
