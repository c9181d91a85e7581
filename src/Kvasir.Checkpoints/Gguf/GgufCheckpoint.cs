using System.Collections.Immutable;
using Kvasir.Checkpoints.Families;
using Kvasir.Checkpoints.Tokenizers;

namespace Kvasir.Checkpoints.Gguf;

/// <summary>Reads a model from one GGUF file or a split set.</summary>
internal static class GgufCheckpoint
{
    public static CheckpointContent Open(string path)
    {
        var files = GgufSplit.Open(path);
        try
        {
            return Read(path, files);
        }
        catch
        {
            foreach (var file in files) file.Dispose();
            throw;
        }
    }

    private static CheckpointContent Read(string path, ImmutableArray<GgufFile> files)
    {
        var metadata = files[0].Metadata;
        var tensors = GgufSplit.Merge(files);
        if (tensors.Count == 0)
            throw new CheckpointException($"{path} holds a vocabulary and no weights; it can be used to tokenize only.");
        var model = new GgufModel(metadata, tensors, tensor => TensorFloats.Read(tensor, files[tensor.File].File));
        var (family, spec) = ModelSpecReader.FromGguf(model);
        if (family.GgufNames is not { } names)
            throw new CheckpointException($"{path}: the architecture \"{spec.Architecture}\" can be planned but not run.");
        var bound = new TensorBinder(tensors, names, "", "", path, static _ => null).Bind(spec);
        return new CheckpointContent
        {
            Format = $"GGUF v{files[0].Version}",
            Files = [.. files.Select(file => file.File)],
            HeaderBytes = [.. files.Select(file => Math.Min(file.DataStart, file.File.Length))],
            Spec = spec with { ParameterCount = tensors.Values.Sum(tensor => tensor.Rows * tensor.Columns) },
            Tensors = bound,
            AllTensors = [.. files.SelectMany(file => file.Tensors)],
            OpenTokenizer = () => Tokenizer.FromGguf(metadata),
            ChatTemplate = metadata.TryGetString("tokenizer.chat_template", out var template) ? template : null,
            Defaults = ReadDefaults(metadata, spec.VocabularySize),
        };
    }

    private static GenerationDefaults ReadDefaults(GgufMetadata metadata, int vocabulary)
    {
        int? Token(string key) => metadata.TryGetInt(key, out var id) && id >= 0 && id < vocabulary ? (int)id : null;
        float? Number(string key) => metadata.TryGetFloat("general.sampling." + key, out var value) && double.IsFinite(value) ? (float)value : null;

        // End of text, of turn, of message: whichever the vocabulary has.
        int?[] ends = [Token("tokenizer.ggml.eos_token_id"), Token("tokenizer.ggml.eot_token_id"), Token("tokenizer.ggml.eom_token_id")];
        return new GenerationDefaults
        {
            BeginToken = Token("tokenizer.ggml.bos_token_id"),
            EndTokens = [.. ends.OfType<int>().Distinct()],
            Temperature = Number("temp"),
            TopK = (int?)Number("top_k"),
            TopP = Number("top_p"),
            MinP = Number("min_p"),
            RepetitionPenalty = Number("penalty_repeat"),
        };
    }
}
